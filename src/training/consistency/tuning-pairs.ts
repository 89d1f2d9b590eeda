import { earlierRatio, tuningWeight } from "../../diffusion/consistency.ts";
import { coefficientsAt } from "../../diffusion/level-sampler.ts";
import { type NoiseLevel, noiseRange, noiseRatio } from "../../diffusion/noise-level.ts";
import type { ProcessConfig } from "../../diffusion/noise-schedule.ts";
import { sigmaDataOf } from "../../diffusion/process-config.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { drawLevelNormals, drawNoise } from "../draws.ts";
import type { ConsistencyBatch } from "../tasks/consistency.ts";
import type { DataOptions } from "../tasks/data.ts";

/** Settings of `tuningPairs`. */
export interface TuningPairsOptions extends DataOptions {
  /** The student's process. */
  readonly process: ProcessConfig;
  /** Updates in all, which the stages share. */
  readonly steps: number;
  /** Stages after the first: in the last one r = t (1 - n(t) / 2^stages). 5 by default. */
  readonly stages?: number;
  /** Is the student told the class? */
  readonly classes?: boolean;
}

/** Mean and standard deviation of ln(sigma / alpha). Geng et al. 2024. */
const [mean, std] = [-1.1, 2] as const;
/** Samplers begin here, where there is nothing but noise. */
const mostRatio = 80;

/**
 * Pairs of one image with the same noise at two levels: consistency tuning (ECT), which needs data and asks no teacher. Algorithm 1, Geng et
 * al. 2024.
 */
export function tuningPairs({ process, batchAt, steps, stages = 5, classes = false, seed = 0 }: TuningPairsOptions) {
  const range = noiseRange(process);
  const sigmaData = sigmaDataOf(process);
  const [least, most] = [range.lowest, Math.min(range.highest, mostRatio)];
  return async (step: number): Promise<ConsistencyBatch> => {
    const { x: x0, y } = await batchAt(step);
    const count = x0.shape[0]!;
    const stage = Math.floor(((step - 1) * (stages + 1)) / steps);
    const ts = Array.from(drawLevelNormals(seed, step, count), (z) =>
      Math.min(Math.max(Math.exp(mean + std * z), least), most),
    );
    const rs = ts.map((t) => earlierRatio(t, stage));
    // Below the least level that the network knows, there is no noise.
    const isPicture = rs.map((r) => (r < least ? 1 : 0));
    const [later, earlier] = [ts, rs.map((r) => Math.max(r, least))].map((ratios) => ratios.map((r) => range.at(r)));
    const noise = drawNoise(seed, step, x0.shape);
    const ends = earlier!.map((level, i) => (isPicture[i] ? { ...level, alpha: 1, sigma: 0 } : level));
    return {
      x: noised(x0, noise, later!),
      coefficients: coefficientsAt(process, later!),
      end: noised(x0, noise, ends),
      earlier: coefficientsAt(process, earlier!),
      isPicture: float32([count], isPicture),
      weight: float32(
        [count],
        later!.map((level) => tuningWeight(noiseRatio(level), sigmaData)),
      ),
      ...(classes && { y }),
    };
  };
}

/** alpha x_0 + sigma eps, each image at its own level. */
function noised(x0: NDArray<"float32">, noise: NDArray<"float32">, levels: readonly NoiseLevel[]): NDArray<"float32"> {
  const size = x0.data.length / levels.length;
  return float32(
    x0.shape,
    x0.data.map((value, i) => {
      const { alpha, sigma } = levels[Math.floor(i / size)]!;
      return alpha * value + sigma * noise.data[i]!;
    }),
  );
}
