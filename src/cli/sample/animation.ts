import { animationGif } from "../../images/decode.ts";
import { type GridOptions, grid, gridSize, type Image, shrink, toUint8 } from "../../images/image.ts";
import type { NDArray } from "../../ndarray.ts";

/** Frames of an animation, and their pixels together: with more, encoding takes minutes and the file a hundred megabytes. */
const mostFrames = 60;
const mostPixels = 40e6;

export interface Animation {
  /** Takes the pictures of a step, x [N, C, H, W] in [-1, 1], as a frame, where it falls to be one; the last step always does. */
  add(step: number, steps: number, x: NDArray<"float32">): void;
  encode(): Promise<Uint8Array>;
  /** What is to be said where its frames are smaller than the sheet. */
  note(): string | undefined;
}

/** The sheet of `grid` at every step, smaller where all frames would have too many pixels. */
export function animation({ columns, scale }: Required<Pick<GridOptions, "columns" | "scale">>): Animation {
  const frames: Image[] = [];
  let smaller = false;
  return {
    add(step, steps, x) {
      const every = Math.ceil(steps / mostFrames);
      if ((steps - step) % every !== 0) return;
      const pictures = toUint8(x);
      const [first] = pictures;
      const pixels = mostPixels / Math.ceil(steps / every);
      const fits = (by: number, scale: number): boolean => {
        const { width, height } = gridSize(pictures.length, shrink(first!, by), { columns, scale });
        return width * height <= pixels;
      };
      // As large as the sheet, else less enlarged, else shrunk.
      let [by, enlarged] = [1, scale];
      while (!fits(by, enlarged) && by < first!.width)
        if (enlarged > 1) enlarged--;
        else by++;
      smaller = by > 1 || enlarged < scale;
      frames.push(
        grid(
          pictures.map((picture) => shrink(picture, by)),
          { columns, scale: enlarged },
        ),
      );
    },
    // The last one stays for a second and a half.
    encode: () => animationGif(frames, { delay: 80, rest: 1500 }),
    note: () =>
      smaller
        ? `${frames.length} frames of ${frames[0]!.width}x${frames[0]!.height} pixels, smaller than the sheet: its size would make a huge file`
        : undefined,
  };
}
