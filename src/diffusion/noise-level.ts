import { UsageError } from "../errors.ts";
import { continuousNoise, type NoiseLevel } from "./continuous.ts";
import { checkProcess, type ProcessConfig } from "./process-config.ts";
import { betas as betasOf, zeroTerminalSnr } from "./schedule.ts";

export type { NoiseLevel };

/** Both ends of the way. */
export const noiseless = { alpha: 1, sigma: 0 } as const;
export const pureNoise = { alpha: 0, sigma: 1 } as const;

/** sigma / alpha, by which noise levels are compared across processes; infinite where nothing of the image is left. */
export const noiseRatio = ({ alpha, sigma }: Pick<NoiseLevel, "alpha" | "sigma">): number => sigma / alpha;

/** The noise levels that a model knows. */
export interface NoiseRange {
  /** Least and largest sigma / alpha; the largest may be infinite. */
  readonly lowest: number;
  readonly highest: number;
  /** The level of a ratio sigma / alpha. Throws UsageError outside the range. */
  at(ratio: number): NoiseLevel;
}

/**
 * The levels of the chain of T steps, the least noisy first. Where a model was trained on them, also the variance that each step adds.
 *
 * @throws UsageError where the process contradicts itself, or there is no such chain
 */
export function discreteChain(config: ProcessConfig): { levels: NoiseLevel[]; betas?: Float64Array } {
  checkProcess(config);
  const { schedule, steps } = config;
  if (schedule === "flow" || schedule === "edm") return { levels: continuousNoise(config)!.levels(steps) };
  const plain = betasOf(schedule, steps);
  const betas = config.zeroTerminalSnr ? zeroTerminalSnr(plain) : plain;
  const timeScale = config.rescaleTimesteps ? 1000 / config.steps : 1;
  let alphaBar = 1;
  const levels = Array.from(betas, (beta, t) => {
    alphaBar *= 1 - beta;
    return { alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar), timestep: t * timeScale };
  });
  return { levels, betas };
}

/** The noise levels of a process. Between the timesteps of a schedule of steps, log(sigma / alpha) is interpolated linearly. */
export function noiseRange(config: ProcessConfig): NoiseRange {
  const continuous = continuousNoise(config);
  const { levels } = discreteChain(config);
  const ratios = levels.map(noiseRatio);
  const [lowest, highest] = [ratios[0]!, ratios.at(-1)!];
  return {
    lowest,
    highest,
    at(ratio) {
      if (!(ratio >= lowest && ratio <= highest))
        throw new UsageError(
          `noise: the model knows ratios sigma / alpha of ${lowest.toPrecision(3)} ... ${highest.toPrecision(3)} but ${ratio.toPrecision(3)} was asked for`,
        );
      if (continuous) return continuous.at(continuous.timestepOf(ratio));
      const above = ratios.findIndex((other) => other >= ratio);
      if (ratios[above] === ratio) return levels[above]!;
      const [low, high] = [Math.log(ratios[above - 1]!), Math.log(ratios[above]!)];
      const place = (Math.log(ratio) - low) / (high - low);
      const [before, after] = [levels[above - 1]!.timestep, levels[above]!.timestep];
      return {
        alpha: 1 / Math.hypot(1, ratio),
        sigma: 1 / Math.hypot(1, 1 / ratio),
        timestep: before + place * (after - before),
      };
    },
  };
}
