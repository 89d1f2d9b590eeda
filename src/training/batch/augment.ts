import { float32, type NDArray } from "../../ndarray.ts";
import { reflect } from "../../reflect.ts";
import { drawAugmentations } from "../draws.ts";

/**
 * Numbers by which a network is told how an image was changed: mirrored left to right, and top to bottom; turned by a quarter or a half,
 * and by a half or three quarters; shifted to the right, and down, as a share of the largest shift. All are 0 for an image as it is.
 */
export const augmentSize = 6;

/** Random numbers that an image's change takes. */
export const drawsOfAugmentation = 9;

/** Largest shift, as a share of the side. */
const largestShift = 1 / 8;

/** What becomes of an image: mirrored, then turned by quarters counter-clockwise, then shifted by whole pixels. */
interface Change {
  readonly flipX: boolean;
  readonly flipY: boolean;
  readonly turns: number;
  readonly dx: number;
  readonly dy: number;
}

/** Changes with probability `probability` each, from numbers in [0, 1). Images that are not square are turned by halves. */
function changeOf(u: ArrayLike<number>, probability: number, height: number, width: number): Change {
  const now = (i: number): boolean => u[i]! < probability;
  const turns = Math.floor(4 * u[5]!);
  const shift = (value: number, side: number): number => Math.round((2 * value - 1) * largestShift * side);
  return {
    flipX: now(0) && u[1]! < 0.5,
    flipY: now(2) && u[3]! < 0.5,
    turns: now(4) ? (height === width ? turns : 2 * (turns % 2)) : 0,
    ...(now(6) ? { dx: shift(u[7]!, width), dy: shift(u[8]!, height) } : { dx: 0, dy: 0 }),
  };
}

/** What the network is told of a change: `augmentSize` numbers. */
const told = ({ flipX, flipY, turns, dx, dy }: Change, height: number, width: number): number[] => [
  Number(flipX),
  Number(flipY),
  Number(turns === 1 || turns === 2),
  Number(turns === 2 || turns === 3),
  dx / (largestShift * width),
  dy / (largestShift * height),
];

/** The change of each image of a step that is asked for, at `[C, H, W]` from `at` on, written to the same place of `to`. */
function change(from: Float32Array, to: Float32Array, at: number, shape: readonly number[], how: Change): void {
  const [channels, height, width] = shape as [number, number, number];
  for (let c = 0; c < channels; c++)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        // Where the pixel comes from: the changes undone, the last one first.
        let [y, x] = [reflect(row - how.dy, height), reflect(column - how.dx, width)];
        if (how.turns === 2) [y, x] = [height - 1 - y, width - 1 - x];
        else if (how.turns === 1) [y, x] = [x, width - 1 - y];
        else if (how.turns === 3) [y, x] = [height - 1 - x, y];
        if (how.flipY) y = height - 1 - y;
        if (how.flipX) x = width - 1 - x;
        to[at + (c * height + row) * width + column] = from[at + (c * height + y) * width + x]!;
      }
}

/** Images of a step, changed, and what is told of the changes, [N, augmentSize]. */
export interface Augmented {
  readonly x: NDArray<"float32">;
  readonly augment: NDArray<"float32">;
}

/**
 * Augmentation that does not leak into what is drawn: images are mirrored, turned and shifted, each change with the same probability, and
 * the network is told of it; told of none, it draws images as they are. Appendix F.2, Karras et al. 2022, of which these are the changes
 * that move whole pixels. A function of seed and step.
 *
 * @param images [N, C, H, W]
 * @param probability of each kind of change, 0 to 1
 */
export function augmented(
  images: NDArray<"float32">,
  { seed, step, probability }: { readonly seed: number; readonly step: number; readonly probability: number },
): Augmented {
  const [n, channels, height, width] = images.shape as [number, number, number, number];
  const size = channels * height * width;
  const u = drawAugmentations(seed, step, n * drawsOfAugmentation);
  const changed = new Float32Array(images.data.length);
  const labels = new Float32Array(n * augmentSize);
  for (let i = 0; i < n; i++) {
    const own = u.subarray(i * drawsOfAugmentation, (i + 1) * drawsOfAugmentation);
    const how = changeOf(own, probability, height, width);
    change(images.data, changed, i * size, [channels, height, width], how);
    labels.set(told(how, height, width), i * augmentSize);
  }
  return { x: float32(images.shape, changed), augment: float32([n, augmentSize], labels) };
}
