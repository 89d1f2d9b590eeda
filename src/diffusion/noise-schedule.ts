import { UsageError } from "../errors.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, type Spec } from "../tensor/trace.ts";
import { discreteChain, type NoiseLevel, noiseless, pureNoise } from "./noise-level.ts";
import { isContinuous, type ProcessConfig } from "./process-config.ts";
import { spaceTimesteps } from "./respacing.ts";

export { learnsVariance, type ProcessConfig } from "./process-config.ts";

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

/** Names of what a step may ask of a noise level: see `coefficientNames`. */
export type CoefficientName = (typeof coefficientNames)[number];

/** The coefficients of N images as a traced function sees them, each [N]. */
export type Coefficients = Readonly<Record<CoefficientName, Tensor>>;

/** The inputs of a graph that become `Coefficients`: float32 [N] for each name. */
export const coefficientSpecs = (images: number) =>
  Object.fromEntries(coefficientNames.map((name) => [name, f32(images)])) as Record<CoefficientName, Spec<"float32">>;

/** The coefficients at one noise level. */
export type CoefficientRow = Readonly<Record<CoefficientName, number>>;

/** Noise levels of a process, at which a chain of steps stands. Index 0 is the least noisy. Tables are float64, one entry per index. */
export interface NoiseSchedule {
  /** The process whose levels these are. */
  readonly config: ProcessConfig;
  /** alpha, sigma and what networks see as time, at each index. */
  readonly levels: readonly NoiseLevel[];
  /** Timestep of the original chain at each index, ascending; for processes without one, what the networks see. */
  readonly timesteps: readonly number[];
  /** Variance of the noise that the step to each index adds: x_t = alpha_t / alpha_{t-1} x_{t-1} + sqrt(beta) noise. */
  readonly betas: Float64Array;
  /** Coefficients at each index, by name. */
  readonly tables: Readonly<Record<Exclude<CoefficientName, "ddimDirection" | "ddimDeviation">, Float64Array>>;
}

/**
 * The chain that a model was trained on, or a shorter one with the same noise at the timesteps that it keeps.
 *
 * @param respacing which timesteps to keep, as `spaceTimesteps` reads it; all by default.
 * @throws UsageError where process, schedule or respacing cannot be had.
 */
export function noiseSchedule(config: ProcessConfig, respacing?: string): NoiseSchedule {
  const { levels, betas } = discreteChain(config);
  if (respacing === undefined) return scheduleOfLevels(config, levels, { timesteps: Array.from(levels.keys()), betas });
  const timesteps = spaceTimesteps(config.steps, respacing);
  return scheduleOfLevels(
    config,
    timesteps.map((t) => levels[t]!),
    { timesteps },
  );
}

/**
 * A chain through any noise levels of a Gaussian process: each step's numbers follow from the two levels that it joins. With
 * alpha_{t|s} = alpha_t / alpha_s and sigma_{t|s}^2 = sigma_t^2 - alpha_{t|s}^2 sigma_s^2, which is beta of the discrete chain, the
 * posterior is that of section 2 and eq. 7, Ho et al. 2020; appendix A, Kingma et al. 2021.
 *
 * @param levels at least one, the least noisy first.
 * @param known what is known more precisely than the levels tell, or by other names; `alone` where the levels are no chain, but each has
 *   a step that leads from it to the image.
 */
export function scheduleOfLevels(
  config: ProcessConfig,
  levels: readonly NoiseLevel[],
  known: {
    readonly timesteps?: readonly number[];
    readonly betas?: Float64Array | undefined;
    readonly alone?: boolean;
  } = {},
): NoiseSchedule {
  const { alone = false } = known;
  const neighbour = (i: number): NoiseLevel | undefined => (alone ? undefined : levels[i]);
  const least = (i: number): number => (isContinuous(config) ? levels[i]!.timestep : 0);
  const previous = (i: number): NoiseLevel => neighbour(i - 1) ?? { ...noiseless, timestep: least(i) };
  const table = (entry: (level: NoiseLevel, previous: NoiseLevel, i: number) => number): Float64Array =>
    Float64Array.from(levels, (level, i) => entry(level, previous(i), i));
  const next = (name: "alpha" | "sigma") => table((_, __, i) => (neighbour(i + 1) ?? pureNoise)[name]);

  const betas =
    known.betas ?? table(({ alpha, sigma }, before) => sigma ** 2 - ((alpha / before.alpha) * before.sigma) ** 2);
  const posteriorVariance = table(({ sigma }, before, i) => betas[i]! * (before.sigma / sigma) ** 2);
  // A step to the image has no variance of its own and borrows the second one's; where there is none, its beta.
  const endsAtImage = (i: number): boolean => alone || i === 0;
  const borrowed = (i: number): number => (alone ? undefined : posteriorVariance[i + 1]) ?? betas[i]!;
  const positiveVariance = posteriorVariance.map((variance, i) => (endsAtImage(i) ? borrowed(i) : variance));
  const largeVariance = betas.map((beta, i) => (endsAtImage(i) ? borrowed(i) : beta));
  const tables = {
    timestep: table(({ timestep }) => timestep),
    timestepPrevious: table((_, { timestep }) => timestep),
    alpha: table(({ alpha }) => alpha),
    sigma: table(({ sigma }) => sigma),
    alphaPrevious: table((_, { alpha }) => alpha),
    sigmaPrevious: table((_, { sigma }) => sigma),
    alphaNext: next("alpha"),
    sigmaNext: next("sigma"),
    posteriorX0: table(({ sigma }, before, i) => (betas[i]! * before.alpha) / sigma ** 2),
    posteriorXt: table(({ alpha, sigma }, before) => (alpha / before.alpha) * (before.sigma / sigma) ** 2),
    posteriorVariance,
    posteriorLogVariance: positiveVariance.map(Math.log),
    largeVariance,
    largeLogVariance: largeVariance.map(Math.log),
    logBeta: betas.map(Math.log),
    noisy: table((_, __, i) => (endsAtImage(i) ? 0 : 1)),
  };
  return { config, levels, timesteps: known.timesteps ?? levels.map(({ timestep }) => timestep), betas, tables };
}

/**
 * The coefficients at a place in the chain, float64.
 *
 * @param index 0 ... chain length - 1.
 * @param options `eta` of DDIM: 0 makes its step deterministic, 1 gives it the variance of the DDPM posterior.
 * @throws UsageError for an index outside the chain or an eta outside [0, 1].
 */
export function coefficientRow(chain: NoiseSchedule, index: number, { eta = 0 }: EtaOption = {}): CoefficientRow {
  checkPlaces(chain, [index], eta);
  return Object.fromEntries(coefficientNames.map((name) => [name, coefficientAt(chain, name, index, eta)])) as Record<
    CoefficientName,
    number
  >;
}

/** How random DDIM is. */
export interface EtaOption {
  /** From 0, the default, which is deterministic, to 1. Eq. 16, Song et al. 2021. */
  readonly eta?: number;
}

function checkPlaces({ levels }: NoiseSchedule, indices: readonly number[], eta: number): void {
  if (!(eta >= 0 && eta <= 1))
    throw new UsageError(`eta must be between 0 (deterministic) and 1 (ancestral) but is ${eta}`);
  for (const index of indices)
    if (!(Number.isInteger(index) && index >= 0 && index < levels.length))
      throw new UsageError(`index ${index} is outside the chain of ${levels.length} steps`);
}

function coefficientAt({ tables }: NoiseSchedule, name: CoefficientName, index: number, eta: number): number {
  if (name !== "ddimDirection" && name !== "ddimDeviation") return tables[name][index]!;
  const deviation = eta * Math.sqrt(tables.posteriorVariance[index]!);
  return name === "ddimDeviation"
    ? deviation
    : Math.sqrt(Math.max(tables.sigmaPrevious[index]! ** 2 - deviation ** 2, 0));
}

/** Coefficients of N images, one row each, rounded once: float32 [N] per name. */
export function coefficientColumns(rows: readonly CoefficientRow[]): Record<CoefficientName, NDArray<"float32">> {
  const column = (name: CoefficientName) =>
    float32(
      [rows.length],
      rows.map((row) => row[name]),
    );
  return Object.fromEntries(coefficientNames.map((name) => [name, column(name)])) as ReturnType<
    typeof coefficientColumns
  >;
}

/**
 * Coefficients for N images, computed in float64 and rounded once.
 *
 * @param indices place of each image in the chain; options as of `coefficientRow`, which also says what is thrown.
 * @returns float32 [N] per name.
 */
export function coefficients(
  chain: NoiseSchedule,
  indices: readonly number[],
  { eta = 0 }: EtaOption = {},
): Record<CoefficientName, NDArray<"float32">> {
  checkPlaces(chain, indices, eta);
  // By columns: training asks for hundreds of images in every step, and a row for each would cost more than the step of a small network.
  return Object.fromEntries(
    coefficientNames.map((name) => [
      name,
      float32(
        [indices.length],
        indices.map((index) => coefficientAt(chain, name, index, eta)),
      ),
    ]),
  ) as Record<CoefficientName, NDArray<"float32">>;
}
