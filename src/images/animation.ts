import { firstOf, type Image } from "./image.ts";
import { loadSharp } from "./sharp.ts";

/** Settings of `animationGif`. */
export interface AnimationOptions {
  /** Milliseconds that each frame shows; default 100. */
  readonly delay?: number;
  /** Milliseconds that the last frame shows beyond that; default 0. */
  readonly rest?: number;
  /** How often it plays; default 0, for ever. */
  readonly loop?: number;
}

/** Frames of one size as an animated GIF. Throws DataError where there are none, or their sizes differ. */
export async function animationGif(
  frames: readonly Image[],
  { delay = 100, rest = 0, loop = 0 }: AnimationOptions = {},
): Promise<Uint8Array> {
  const first = firstOf(frames, "animation", "frame");
  const { width, height, channels } = first;
  const sharp = await loadSharp();
  // One tall picture of all frames; pageHeight cuts it.
  const strip = new Uint8Array(frames.length * first.data.length);
  for (const [n, { data }] of frames.entries()) strip.set(data, n * data.length);
  const raw = { width, height: height * frames.length, channels, pageHeight: height };
  // sharp's limit is against files that unpack to more than they seem; these pixels are there already.
  const out = await sharp(strip, { raw, limitInputPixels: false })
    .gif({
      delay: frames.map((_, n) => (n === frames.length - 1 ? delay + rest : delay)),
      loop,
      keepDuplicateFrames: true,
      effort: 4, // sharp's 7 takes five times as long for pictures in colour, and saves a hundredth of the file
    })
    .toBuffer();
  return new Uint8Array(out);
}
