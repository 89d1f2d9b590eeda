import { setImmediate } from "node:timers/promises";
import { counted } from "../counted.ts";
import { DataError } from "../errors.ts";
import { type DecodedImage, isGrey } from "../images/image.ts";
import { planesOf } from "../images/planes.ts";
import { colourOf } from "./channels.ts";
import type { Skipped } from "./entries.ts";
import type { Item } from "./layout.ts";

/** How many images are decoded, and how many there are. */
export interface DecodeProgress {
  readonly done: number;
  readonly total: number;
}

/** Settings of decoding. */
export interface PackOptions {
  /** Side to resize and centre-crop to; without it all images must be of one size. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called now and then while images are decoded. */
  readonly onProgress?: ((progress: DecodeProgress) => void) | undefined;
}

/** Images in one array, [N, C, H, W] uint8: grey if every image is. `kept` says which items they are, in order. */
export interface Packed {
  readonly shape: readonly [channels: 1 | 3, height: number, width: number];
  readonly images: Uint8Array;
  readonly kept: readonly number[];
  readonly skipped: readonly Skipped[];
  /** How many of them have transparent pixels, which show the background. */
  readonly transparent: number;
}

/** Images decoded at a time. */
const CHUNK = 64;

function allocate(count: number, area: number, channels: number): Uint8Array {
  const bytes = count * area * channels;
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const size = (bytes / 2 ** 30).toFixed(1);
    throw new DataError(`${count} decoded images would take ${size} GiB in one array; choose a smaller size`, {
      cause,
    });
  }
}

const load = (item: Item, size: number | undefined): Promise<DecodedImage | Error> =>
  item.load(size).catch((error) => (error instanceof Error ? error : new Error(String(error))));

/**
 * Decodes all items, in order. Unreadable ones are left out and listed. Throws DataError where sizes are mixed and no `size` was
 * given, or nothing could be read; the signal's reason where it aborts.
 */
export async function pack(items: readonly Item[], options: PackOptions = {}): Promise<Packed> {
  const { size, signal, onProgress } = options;
  let channels: 1 | 3 = 1;
  let first: { path: string; width: number; height: number } | undefined;
  let images: Uint8Array = new Uint8Array(0);
  const kept: number[] = [];
  const skipped: Skipped[] = [];
  let transparent = 0;

  for (let start = 0; start < items.length; start += CHUNK) {
    signal?.throwIfAborted();
    const chunk = items.slice(start, start + CHUNK);
    const loaded = await Promise.all(chunk.map((item) => load(item, size)));
    for (const [i, { path }] of chunk.entries()) {
      const image = loaded[i]!;
      if (image instanceof Error) {
        skipped.push({ path, reason: image.message });
        continue;
      }
      const { width, height } = image;
      const area = width * height;
      if (!first) {
        first = { path, width, height };
        images = allocate(items.length, area, channels);
      } else if (width !== first.width || height !== first.height)
        throw new DataError(
          `images are of mixed sizes: ${first.path} is ${first.width}x${first.height}, ${path} is ${width}x${height}; ` +
            "give a size (--size) to resize and centre-crop all of them to",
        );
      if (channels === 1 && !isGrey(image)) {
        const done = images.subarray(0, kept.length * area);
        images = colourOf(done, area, allocate(items.length, area, 3));
        channels = 3;
      }
      planesOf(image, channels, images, kept.length * channels * area);
      kept.push(start + i);
      if (image.transparent) transparent++;
    }
    onProgress?.({ done: start + chunk.length, total: items.length });
    await setImmediate(); // decoding small files never leaves this thread: give signals and timers their turn
  }

  if (!first)
    throw new DataError(
      `none of ${counted(items.length, "image")} could be read; ${skipped[0]?.path}: ${skipped[0]?.reason}`,
    );
  const used = kept.length * channels * first.width * first.height;
  return { shape: [channels, first.height, first.width], images: images.subarray(0, used), kept, skipped, transparent };
}
