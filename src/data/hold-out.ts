import { counted } from "../counted.ts";
import { DataError } from "../errors.ts";
import { viewOf } from "../formats/bytes.ts";
import { sha256Bytes } from "../formats/sha256.ts";
import type { Split } from "./content.ts";
import type { Dataset } from "./dataset.ts";

/** Share of images that a detector is tested on where a data set has no test images. */
export const heldOutShare = 0.15;

/** How many images are held out where a data set has no test images. */
export interface HoldOutOptions {
  /** Share of the images, 0 to 1. */
  readonly share: number;
  /** Most images, but for those that are equal; no limit by default. */
  readonly most?: number;
}

/** Images to learn from, and others to be tested on. */
export interface HeldOut {
  readonly train: Split;
  readonly heldOut: Split;
  /** Which images they are: "the test images", "15% of the images". */
  readonly what: string;
}

/** Images of a split at some places, in that order. */
export function imagesIn(split: Split, places: readonly number[]): Split {
  const size = split.shape[0] * split.shape[1] * split.shape[2];
  const images = new Uint8Array(places.length * size);
  for (const [to, from] of places.entries())
    images.set(split.images.subarray(from * size, (from + 1) * size), to * size);
  return { ...split, count: places.length, images, labels: Int32Array.from(places, (place) => split.labels[place]!) };
}

/**
 * The test images of a data set; where it has none, a share of its images, chosen by the hash of their content: the same ones whatever
 * the order and the names of files, and equal images fall on one side. A smaller share is part of a larger one. Each class keeps an image to learn from.
 *
 * @throws DataError where no image can be held out
 */
export function holdOut(
  { path = "the data", train, test }: Pick<Dataset, "train"> & Partial<Pick<Dataset, "path" | "test">>,
  { share, most = Number.POSITIVE_INFINITY }: HoldOutOptions = { share: heldOutShare },
): HeldOut {
  if (test) return { train, heldOut: test, what: "the test images" };
  const size = train.shape[0] * train.shape[1] * train.shape[2];
  const places = Array.from({ length: train.count }, (_, i) => i);
  const hashes = places.map((i) => numberOf(train.images.subarray(i * size, (i + 1) * size)));
  const kept = new Map<number, number>();
  for (const i of places) {
    const label = train.labels[i]!;
    const last = kept.get(label);
    if (last === undefined || hashes[i]! > hashes[last]!) kept.set(label, i);
  }
  // Of a class the image of the largest hash stays, and what is equal to it.
  const free = (i: number): boolean => hashes[i]! !== hashes[kept.get(train.labels[i]!)!];
  const lowest = places
    .filter(free)
    .map((i) => hashes[i]!)
    .sort((a, b) => a - b);
  // One at least, however small the share.
  const last = lowest.findLast((hash, i) => i === 0 || (i < most && hash < share)) ?? 0;
  const isHeld = (i: number): boolean => free(i) && hashes[i]! <= last;
  const held = places.filter(isHeld);
  if (held.length === 0)
    throw new DataError(`${path}: none of ${train.count} images can be held out to test with; each class has only one`);
  return {
    train: imagesIn(
      train,
      places.filter((i) => !isHeld(i)),
    ),
    heldOut: imagesIn(train, held),
    what: `${counted(held.length, "image")} held out by their content`,
  };
}

/** 0 ... 1, by the hash of some bytes. */
function numberOf(bytes: Uint8Array): number {
  const digest = viewOf(sha256Bytes(bytes));
  return (digest.getUint32(0) * 2 ** 16 + digest.getUint16(4)) / 2 ** 48;
}
