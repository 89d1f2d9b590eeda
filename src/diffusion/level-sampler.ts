import { UsageError } from "../errors.ts";
import { continuousNoise } from "./continuous.ts";
import { type NoiseLevel, noiseRange } from "./noise-level.ts";
import { coefficients, scheduleOfLevels } from "./noise-schedule.ts";
import { isContinuous, type ProcessConfig } from "./process-config.ts";

/**
 * ln(sigma / alpha) drawn from a normal distribution, and kept within what the process knows. Of `edm` that is the log-normal
 * sigma of Karras et al. 2022; of the flow, where sigma / alpha = t / (1 - t), the logit-normal t of Esser et al. 2024.
 */
export interface LogNormal {
  readonly mean: number;
  readonly std: number;
}

/** P_mean and P_std of table 1, Karras et al. 2022. */
export const logNormalSigma: LogNormal = { mean: -1.2, std: 1.2 };
/** rf/lognorm(0, 1) of section 3.1, Esser et al. 2024, "Scaling rectified flow transformers". */
export const logitNormalTime: LogNormal = { mean: 0, std: 1 };

/** How noise levels between those of a chain are drawn: by name, or log-normally by mean and std. */
export type LevelSampling = "uniform" | "log-normal" | "logit-normal" | LogNormal;

/** Numbers to draw with, one of a kind for each image: uniform in [0, 1), or normal. */
export interface Draws {
  uniforms(): ArrayLike<number>;
  normals(): ArrayLike<number>;
}

/**
 * Draws noise levels that lie between those of a chain. Host side, a function of the draws alone.
 *
 * @param sampling `uniform`: evenly in what the networks see as time, t of the flow and ln(sigma) of `edm`.
 * @throws UsageError for a std that is not positive, or `uniform` where the noise grows in steps
 */
export function levelSampler(config: ProcessConfig, sampling: LevelSampling): (draws: Draws) => NoiseLevel[] {
  const range = noiseRange(config);
  if (sampling === "uniform") {
    const continuous = continuousNoise(config);
    if (!continuous) throw new UsageError("noise levels: the timesteps of a chain are picked by `timestepSampler`");
    const [first, last] = [range.at(range.lowest).timestep, range.at(range.highest).timestep];
    return ({ uniforms }) => Array.from(uniforms(), (u) => continuous.at(last + u * (first - last)));
  }
  const { mean, std } =
    sampling === "log-normal" ? logNormalSigma : sampling === "logit-normal" ? logitNormalTime : sampling;
  if (!(std > 0)) throw new UsageError(`noise levels: their std must be above 0 but is ${std}`);
  return ({ normals }) =>
    Array.from(normals(), (z) => range.at(Math.min(Math.max(Math.exp(mean + std * z), range.lowest), range.highest)));
}

/**
 * How training picks noise levels: evenly, more often where the loss is large and varies (section 3.3, Nichol & Dhariwal 2021), or
 * log-normally by sigma / alpha.
 */
export type TimestepSampling = LevelSampling | "loss-second-moment";

/** The coefficients of images at these levels, float32 [N] per name: of the step that leads from each to the image. */
export const coefficientsAt = (config: ProcessConfig, levels: readonly NoiseLevel[]) =>
  coefficients(scheduleOfLevels(config, levels, { alone: true }), Array.from(levels.keys()));

/**
 * Does training with these timesteps draw levels between those of a chain?
 *
 * @throws UsageError where losses are to be remembered by timestep, but there are none.
 */
export function drawsLevels(config: ProcessConfig, timesteps: TimestepSampling): timesteps is LevelSampling {
  if (!isContinuous(config)) return timesteps !== "uniform" && timesteps !== "loss-second-moment";
  if (timesteps === "loss-second-moment")
    throw new UsageError(
      `timesteps: losses are remembered for each step of a chain, but the ${config.schedule} schedule has none; draw them uniformly or log-normally`,
    );
  return true;
}
