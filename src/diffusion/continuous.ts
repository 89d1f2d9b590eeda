import { type ProcessConfig, sigmaRangeOf } from "./process-config.ts";

/** A place between image and noise, x = alpha x_0 + sigma eps. */
export interface NoiseLevel {
  readonly alpha: number;
  readonly sigma: number;
  /** What the networks see as time; between those of the chain that a network was trained on it is a fraction. */
  readonly timestep: number;
}

/** Noise that grows with a continuous time. */
export interface ContinuousNoise {
  /** The level that networks know by this timestep. */
  at(timestep: number): NoiseLevel;
  /** What networks see as time where sigma / alpha is this ratio. */
  timestepOf(ratio: number): number;
  /** A chain of T levels, the least noisy first. */
  levels(steps: number): NoiseLevel[];
}

/** The noise of a process of continuous time; none where the noise grows in steps. */
export function continuousNoise(config: Pick<ProcessConfig, "schedule" | "sigmaRange">): ContinuousNoise | undefined {
  if (config.schedule === "flow") return flow;
  return config.schedule === "edm" ? edm(sigmaRangeOf(config)) : undefined;
}

/** From the image at t = 0 straight to noise at t = 1. Networks see 1000 t, for their embedding was made for a thousand timesteps. */
const flow: ContinuousNoise = {
  at: (timestep) => ({ alpha: 1 - timestep / 1000, sigma: timestep / 1000, timestep }),
  timestepOf: (ratio) => 1000 / (1 + 1 / ratio),
  levels: (steps) => Array.from({ length: steps }, (_, i) => flow.at((1000 * (i + 1)) / steps)),
};

/** Networks see 1000 c_noise with c_noise = ln(sigma) / 4, table 1, Karras et al. 2022: this many timesteps for each factor e. */
export const timestepsPerFactor = 1000 / 4;

/** Noise beside the whole image. A chain goes evenly by the seventh root of sigma. Eq. 5, Karras et al. 2022. */
function edm([least, most]: readonly [number, number]): ContinuousNoise {
  const level = (sigma: number): NoiseLevel => ({ alpha: 1, sigma, timestep: timestepOf(sigma) });
  const timestepOf = (sigma: number): number => timestepsPerFactor * Math.log(sigma);
  const root = (sigma: number): number => sigma ** (1 / 7);
  return {
    at: (timestep) => ({ alpha: 1, sigma: Math.exp(timestep / timestepsPerFactor), timestep }),
    timestepOf,
    levels: (steps) =>
      Array.from({ length: steps }, (_, i) => {
        if (i === steps - 1) return level(most);
        return level(i === 0 ? least : (root(least) + (i / (steps - 1)) * (root(most) - root(least))) ** 7);
      }),
  };
}
