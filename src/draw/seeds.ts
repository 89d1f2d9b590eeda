import { UsageError } from "../errors.ts";

/** Which images are drawn: one for each of the `seeds`, whole numbers from 0, or `count` of them, of the seeds 0 ... count - 1. */
export type Seeds =
  | { readonly seeds: readonly number[]; readonly count?: number }
  | { readonly count: number; readonly seeds?: readonly number[] };

/** The seeds themselves. Throws UsageError where there are none, or seeds and count are both given. */
export function seedsOf({ seeds, count }: Seeds): readonly number[] {
  if (seeds && count !== undefined)
    throw new UsageError("sample: seeds and count both say how many images to draw; give one of them");
  if (count !== undefined) {
    if (!Number.isInteger(count) || count < 1)
      throw new UsageError(`sample: count must be a whole number from 1 but is ${count}`);
    return Array.from({ length: count }, (_, i) => i);
  }
  if (!seeds?.length)
    throw new UsageError("sample: there are no seeds; give one for each image, or count, the number of images");
  return seeds;
}
