import { UsageError } from "../errors.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, type Spec } from "../tensor/trace.ts";
import { spaceTimesteps } from "./respacing.ts";
import { betas as betasOf, type Schedule } from "./schedule.ts";

/** What a denoiser was trained to be; stored with the model. */
export interface ProcessConfig {
  readonly schedule: Schedule;
  /** Length T of the chain. */
  readonly steps: number;
  /** What the network's output stands for: the noise, the image, or the mean of x_{t-1}. */
  readonly prediction: "eps" | "x0" | "previous";
  /**
   * Variance of the reverse step: beta tilde (`fixedSmall`), beta (`fixedLarge`), or given by the network in C more channels: its
   * logarithm (`learned`), or its place between the two fixed ones (`learnedRange`).
   */
  readonly variance: "fixedSmall" | "fixedLarge" | "learned" | "learnedRange";
  /** The network sees timesteps scaled to 0 ... 1000, whatever T is. */
  readonly rescaleTimesteps: boolean;
}

/** Does the network give the variance, in C channels beside the C of its prediction? */
export const learnsVariance = ({ variance }: Pick<ProcessConfig, "variance">): boolean =>
  variance === "learned" || variance === "learnedRange";

/** Every number that depends on the index in the chain and that traced functions use. */
export const coefficientNames = [
  /** What the networks see as time: the timestep of the original chain, rescaled where the config says so. */
  "timestep",
  /** The same for x_{t-1}; 0 at index 0, the least noise that a network knows. */
  "timestepPrevious",
  /** x_t = alpha x_0 + sigma eps. */
  "alpha",
  "sigma",
  /** The same of x_{t-1}; 1 and 0 at index 0. */
  "alphaPrevious",
  "sigmaPrevious",
  /** The same of x_{t+1}; 0 and 1 at the last index. */
  "alphaNext",
  "sigmaNext",
  /** Mean of q(x_{t-1} | x_t, x_0) = posteriorX0 x_0 + posteriorXt x_t. Eq. 7, Ho et al. 2020. */
  "posteriorX0",
  "posteriorXt",
  /** Its variance, beta tilde: 0 at index 0. */
  "posteriorVariance",
  /** Logarithm of beta tilde, at index 0 that of index 1. */
  "posteriorLogVariance",
  /** beta, at index 0 beta tilde of index 1, which makes the decoder likelier. */
  "largeVariance",
  "largeLogVariance",
  /** Logarithm of beta. */
  "logBeta",
  /** x_{t-1} = alphaPrevious x_0 + ddimDirection eps + ddimDeviation noise, for the eta asked for. Eq. 12 and 16, Song et al. 2021. */
  "ddimDirection",
  "ddimDeviation",
  /** 1 where x_{t-1} still has noise; 0 at index 0, whose step ends at the image. */
  "noisy",
] as const;

export type CoefficientName = (typeof coefficientNames)[number];

/** The coefficients of N images as a traced function sees them, each [N]. */
export type Coefficients = Readonly<Record<CoefficientName, Tensor>>;

/** The inputs of a graph that become `Coefficients`: float32 [N] for each name. */
export const coefficientSpecs = (images: number) =>
  Object.fromEntries(coefficientNames.map((name) => [name, f32(images)])) as Record<CoefficientName, Spec<"float32">>;

/** A discrete diffusion process, perhaps respaced. Index 0 is the least noisy. Tables are float64, one entry per index. */
export interface Chain {
  readonly config: ProcessConfig;
  /** Timestep of the original chain at each index, ascending. */
  readonly timesteps: readonly number[];
  readonly betas: Float64Array;
  readonly tables: Readonly<Record<Exclude<CoefficientName, "ddimDirection" | "ddimDeviation">, Float64Array>>;
}

/** Product of 1 - beta up to each entry: alpha bar. */
function cumulative(betas: Float64Array): Float64Array {
  let product = 1;
  return betas.map((beta) => {
    product *= 1 - beta;
    return product;
  });
}

/**
 * The chain that a model was trained on, or a shorter one with the same noise at the timesteps that it keeps.
 *
 * @param respacing which timesteps to keep, as `spaceTimesteps` reads it; all by default.
 * @throws UsageError where schedule or respacing cannot be had.
 */
export function makeChain(config: ProcessConfig, respacing?: string): Chain {
  const original = betasOf(config.schedule, config.steps);
  if (respacing === undefined) return chainOf(config, original, Array.from(original.keys()));
  const timesteps = spaceTimesteps(config.steps, respacing);
  const alphaBars = cumulative(original);
  // Eq. 19, Nichol & Dhariwal 2021.
  const betas = timesteps.map((t, i) => 1 - alphaBars[t]! / (i > 0 ? alphaBars[timesteps[i - 1]!]! : 1));
  return chainOf(config, Float64Array.from(betas), timesteps);
}

function chainOf(config: ProcessConfig, betas: Float64Array, timesteps: readonly number[]): Chain {
  const alphaBars = cumulative(betas);
  const previous = (i: number): number => (i > 0 ? alphaBars[i - 1]! : 1);
  const next = (i: number): number => alphaBars[i + 1] ?? 0;
  const table = (entry: (i: number) => number): Float64Array => Float64Array.from(betas.keys(), entry);

  const posteriorVariance = table((i) => (betas[i]! * (1 - previous(i))) / (1 - alphaBars[i]!));
  // A chain of one step has no second variance to borrow.
  const firstVariance = posteriorVariance[1] ?? betas[0]!;
  const positiveVariance = table((i) => (i > 0 ? posteriorVariance[i]! : firstVariance));
  const largeVariance = table((i) => (i > 0 ? betas[i]! : firstVariance));
  const timeScale = config.rescaleTimesteps ? 1000 / config.steps : 1;
  const tables = {
    timestep: table((i) => timesteps[i]! * timeScale),
    timestepPrevious: table((i) => (timesteps[i - 1] ?? 0) * timeScale),
    alpha: alphaBars.map(Math.sqrt),
    sigma: table((i) => Math.sqrt(1 - alphaBars[i]!)),
    alphaPrevious: table((i) => Math.sqrt(previous(i))),
    sigmaPrevious: table((i) => Math.sqrt(1 - previous(i))),
    alphaNext: table((i) => Math.sqrt(next(i))),
    sigmaNext: table((i) => Math.sqrt(1 - next(i))),
    posteriorX0: table((i) => (betas[i]! * Math.sqrt(previous(i))) / (1 - alphaBars[i]!)),
    posteriorXt: table((i) => ((1 - previous(i)) * Math.sqrt(1 - betas[i]!)) / (1 - alphaBars[i]!)),
    posteriorVariance,
    posteriorLogVariance: positiveVariance.map(Math.log),
    largeVariance,
    largeLogVariance: largeVariance.map(Math.log),
    logBeta: betas.map(Math.log),
    noisy: table((i) => (i > 0 ? 1 : 0)),
  };
  return { config, timesteps, betas, tables };
}

/**
 * Coefficients for N images, computed in float64 and rounded once.
 *
 * @param indices place of each image in the chain, 0 ... chain length - 1.
 * @param options `eta` of DDIM: 0 makes its step deterministic, 1 gives it the variance of the DDPM posterior.
 * @returns float32 [N] per name.
 * @throws UsageError for an index outside the chain or an eta outside [0, 1].
 */
export function coefficients(
  chain: Chain,
  indices: readonly number[],
  { eta = 0 }: { readonly eta?: number } = {},
): Record<CoefficientName, NDArray<"float32">> {
  const { tables, timesteps } = chain;
  if (!(eta >= 0 && eta <= 1))
    throw new UsageError(`eta must be between 0 (deterministic) and 1 (ancestral) but is ${eta}`);
  const outside = indices.find((i) => !(Number.isInteger(i) && i >= 0 && i < timesteps.length));
  if (outside !== undefined) throw new UsageError(`index ${outside} is outside the chain of ${timesteps.length} steps`);
  const deviation = tables.posteriorVariance.map((variance) => eta * Math.sqrt(variance));
  const direction = tables.sigmaPrevious.map((sigma, i) => Math.sqrt(Math.max(sigma ** 2 - deviation[i]! ** 2, 0)));
  const all = { ...tables, ddimDirection: direction, ddimDeviation: deviation };
  const pick = (name: CoefficientName) =>
    float32(
      [indices.length],
      indices.map((i) => all[name][i]!),
    );
  return Object.fromEntries(coefficientNames.map((name) => [name, pick(name)])) as ReturnType<typeof coefficients>;
}
