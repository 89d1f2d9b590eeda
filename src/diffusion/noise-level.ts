import { UsageError } from "../errors.ts";
import { checkProcess, type ProcessConfig } from "./process-config.ts";
import { betas as betasOf, zeroTerminalSnr } from "./schedule.ts";

/** A place between image and noise, x = alpha x_0 + sigma eps. */
export interface NoiseLevel {
  readonly alpha: number;
  readonly sigma: number;
  /** What the networks see as time; between those of the chain that a network was trained on it is a fraction. */
  readonly timestep: number;
}

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

/** The levels of the discrete chain that a model was trained on, the least noisy first, and the variance that each step adds. */
export function discreteChain(config: ProcessConfig): { levels: NoiseLevel[]; betas: Float64Array } {
  checkProcess(config);
  const plain = betasOf(config.schedule, config.steps);
  const betas = config.zeroTerminalSnr ? zeroTerminalSnr(plain) : plain;
  const timeScale = config.rescaleTimesteps ? 1000 / config.steps : 1;
  let alphaBar = 1;
  const levels = Array.from(betas, (beta, t) => {
    alphaBar *= 1 - beta;
    return { alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar), timestep: t * timeScale };
  });
  return { levels, betas };
}

/** What the networks see as time where there is least noise. */
export const leastTimestep = (_config: ProcessConfig): number => 0;

/** The noise levels of a process. Between the timesteps of a discrete chain, log(sigma / alpha) is interpolated linearly. */
export function noiseRange(config: ProcessConfig): NoiseRange {
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
