import { ModelError } from "../errors.ts";

/** How timesteps of a chain are picked: all alike, or more often where the loss is large and varies (section 3.3, Nichol & Dhariwal 2021). */
type Kind = "uniform" | "loss-second-moment";

/** Recent losses per index, oldest first, for checkpoints: JSON keeps these numbers exactly, so training resumes bit for bit. */
export type TimestepSamplerState = readonly (readonly number[])[];

/** Draws indices into a chain, and weights that keep the mean of the loss as it is under uniform draws. Host side. */
export interface TimestepSampler {
  /** Probability of each index, float64. */
  probabilities(): Float64Array;
  /** One index and one loss weight for each of the given uniform numbers in [0, 1). */
  sample(uniforms: ArrayLike<number>): { readonly indices: number[]; readonly weights: Float64Array };
  /** The sampler that has also seen the losses (unweighted) of indices that were trained on, in order. This one stays as it is. */
  after(indices: ArrayLike<number>, losses: ArrayLike<number>): TimestepSampler;
  readonly state: TimestepSamplerState;
}

/** Losses remembered per index, and the part of the probability that stays uniform. */
const historyLength = 10;
const uniformPart = 0.001;

/**
 * @param steps length of the chain.
 * @param state of a sampler of the same kind, to go on from.
 * @throws ModelError where the state is of another length.
 */
export function timestepSampler(kind: Kind, steps: number, state?: TimestepSamplerState): TimestepSampler {
  const expected = kind === "uniform" ? 0 : steps;
  if (state && state.length !== expected)
    throw new ModelError(
      `timestep sampler: expected the state of ${expected} indices but ${state.length} came; resume with the options of the first run`,
    );
  const history = state ?? Array.from({ length: expected }, () => []);

  const probabilities = (): Float64Array => {
    // Uniform until every index has a full history.
    if (history.length === 0 || history.some((losses) => losses.length < historyLength))
      return new Float64Array(steps).fill(1 / steps);
    const weights = history.map((losses) =>
      Math.sqrt(losses.reduce((sum, loss) => sum + loss ** 2, 0) / historyLength),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    // Losses that are all zero say nothing.
    return Float64Array.from(
      weights,
      (w) => (1 - uniformPart) * (total > 0 ? w / total : 1 / steps) + uniformPart / steps,
    );
  };

  return {
    probabilities,
    sample(uniforms) {
      if (kind === "uniform")
        return {
          indices: Array.from(uniforms, (u) => Math.floor(u * steps)),
          weights: new Float64Array(uniforms.length).fill(1),
        };
      const p = probabilities();
      const indices = Array.from(uniforms, (u) => inverseCdf(p, u));
      return { indices, weights: Float64Array.from(indices, (i) => 1 / (steps * p[i]!)) };
    },
    after(indices, losses) {
      const next = [...history];
      for (let n = 0; n < indices.length; n++) {
        const recent = next[indices[n]!];
        if (recent) next[indices[n]!] = [...recent, losses[n]!].slice(-historyLength);
      }
      return timestepSampler(kind, steps, next);
    },
    state: history,
  };
}

/** The first index at which the cumulative probability exceeds u. */
function inverseCdf(probabilities: Float64Array, u: number): number {
  let sum = 0;
  const index = probabilities.findIndex((p) => {
    sum += p;
    return u < sum;
  });
  return index < 0 ? probabilities.length - 1 : index;
}
