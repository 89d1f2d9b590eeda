import { animationGif } from "../../images/animation.ts";
import { type GridOptions, grid, gridSize } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import { toUint8 } from "../../images/planes.ts";
import { shrink } from "../../images/shrink.ts";
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

type Layout = Required<Pick<GridOptions, "columns" | "scale">>;

/** How many times pictures are shrunk for a frame, and how many enlarged. */
interface FrameSize {
  readonly by: number;
  readonly enlarged: number;
}

/** The size at which a sheet has at most so many pixels: as large as it is, else less enlarged, else shrunk. */
function frameSize(pictures: readonly Image[], { columns, scale }: Layout, pixels: number): FrameSize {
  const { width, height } = pictures[0]!;
  const fits = (by: number, scale: number): boolean => {
    const picture = { width: Math.ceil(width / by), height: Math.ceil(height / by) };
    const sheet = gridSize(pictures.length, picture, { columns, scale });
    return sheet.width * sheet.height <= pixels;
  };
  let [by, enlarged] = [1, scale];
  while (!fits(by, enlarged) && by < width)
    if (enlarged > 1) enlarged--;
    else by++;
  return { by, enlarged };
}

/** The sheet of `grid` at every step, smaller where all frames would have too many pixels. */
export function animation({ columns, scale }: Layout): Animation {
  const frames: Image[] = [];
  let size: FrameSize | undefined;
  return {
    add(step, steps, x) {
      const every = Math.ceil(steps / mostFrames);
      if ((steps - step) % every !== 0) return;
      const pictures = toUint8(x);
      size ??= frameSize(pictures, { columns, scale }, mostPixels / Math.ceil(steps / every));
      const { by, enlarged } = size;
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
      size && (size.by > 1 || size.enlarged < scale)
        ? `${frames.length} ${frames.length === 1 ? "frame" : "frames"} of ${frames[0]!.width}x${frames[0]!.height} pixels, smaller than the sheet: its size would make a huge file`
        : undefined,
  };
}
