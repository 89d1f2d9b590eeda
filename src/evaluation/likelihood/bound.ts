import type { BoundEvent } from "./likelihood.ts";

/** The mean terms of one timestep. */
export interface BoundTerm {
  /** Timestep of the original chain. */
  readonly timestep: number;
  /** Bits per dimension. */
  readonly vb: number;
  /** Mean squared error of the predicted image. */
  readonly xstartMse: number;
  /** Mean squared error of the predicted noise. */
  readonly mse: number;
}

/** The variational bound of a set of images: means over them. */
export interface Bound {
  /** How many images it is the mean of. */
  readonly images: number;
  /** Bits per dimension: `prior` and every term's `vb`. */
  readonly total: number;
  /** Standard error of `total`, from how much the images differ; 0 for a single one. */
  readonly standardError: number;
  /** KL(q(x_T | x_0) || N(0, 1)), bits per dimension. */
  readonly prior: number;
  /** From the least noisy timestep, whose `vb` is the decoder's term. */
  readonly terms: readonly BoundTerm[];
  /** Bits per dimension of each image, in order. */
  readonly perImage: readonly number[];
}

interface Sums {
  readonly timestep: number;
  vb: number;
  xstartMse: number;
  mse: number;
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/** Runs a bound to its end and takes the means. Sums are float64. */
export async function collectBound(events: AsyncIterable<BoundEvent>): Promise<Bound> {
  const perImage: number[] = [];
  const sums: Sums[] = [];
  let prior = 0;
  for await (const event of events) {
    const { index, timestep, positions, vb, xstartMse, mse } = event;
    sums[index] ??= { timestep, vb: 0, xstartMse: 0, mse: 0 };
    const at = sums[index];
    at.vb += sum(vb);
    at.xstartMse += sum(xstartMse);
    at.mse += sum(mse);
    for (const [i, position] of positions.entries()) {
      // The prior's term belongs to no timestep, and comes with each: it is counted once, with the last.
      const once = index === 0 ? event.prior[i]! : 0;
      prior += once;
      perImage[position] = (perImage[position] ?? 0) + vb[i]! + once;
    }
  }
  const images = perImage.length;
  const total = sum(perImage) / images;
  const variance = images > 1 ? sum(perImage.map((value) => (value - total) ** 2)) / (images - 1) : 0;
  return {
    images,
    total,
    standardError: Math.sqrt(variance / images),
    prior: prior / images,
    terms: sums.map(({ timestep, vb, xstartMse, mse }) => ({
      timestep,
      vb: vb / images,
      xstartMse: xstartMse / images,
      mse: mse / images,
    })),
    perImage,
  };
}

/** The terms as a table: `timestep,vb,xstart_mse,mse` and a line for each timestep, the least noisy first. */
export const boundCsv = ({ terms }: Pick<Bound, "terms">): string =>
  [
    "timestep,vb,xstart_mse,mse",
    ...terms.map(({ timestep, vb, xstartMse, mse }) => [timestep, vb, xstartMse, mse].join()),
    "",
  ].join("\n");
