import { UsageError } from "../errors.ts";
import type { Schedule } from "./schedule.ts";

/**
 * Noise that grows with a continuous time: `flow`, straight from image to noise, alpha = 1 - t and sigma = t (Liu et al. 2023; Lipman
 * et al. 2023); `edm`, variance-exploding noise, alpha = 1 (Song et al. 2021; Karras et al. 2022).
 */
export type ContinuousSchedule = "flow" | "edm";

/** The kinds of processes: noise in steps with alpha^2 + sigma^2 = 1, or one of those of continuous time. */
export type ProcessKind = "ddpm" | ContinuousSchedule;

/** What a denoiser was trained to be; stored with the model. */
export interface ProcessConfig {
  /** How the noise grows: in steps, with alpha^2 + sigma^2 = 1, or with a continuous time. */
  readonly schedule: Schedule | ContinuousSchedule;
  /** Length T of the chain. A process of continuous time is cut into so many steps where it is sampled as a chain. */
  readonly steps: number;
  /**
   * Move a schedule of steps so that nothing of the image is left at its end: alpha_T = 0. See `zeroTerminalSnr`. The noise alone does
   * not tell the image there, so this needs another prediction than eps.
   */
  readonly zeroTerminalSnr?: boolean | undefined;
  /** Least and largest sigma of `edm`; by default 0.002 and 80. */
  readonly sigmaRange?: readonly [number, number] | undefined;
  /** Standard deviation of the images' values, -1 to 1, for `edm`, whose networks see x scaled by it; by default 0.5. */
  readonly sigmaData?: number | undefined;
  /**
   * What the network's output stands for: the noise, the image, the mean of x_{t-1}, v = alpha eps - sigma x_0, the `velocity` eps - x_0
   * of the flow, or the mixture of image and noise of `edm`. See `targetOf`.
   */
  readonly prediction: "eps" | "x0" | "previous" | "v" | "velocity" | "edm";
  /**
   * Variance of the reverse step: beta tilde (`fixed-small`), beta (`fixed-large`), or given by the network in C more channels: its
   * logarithm (`learned`), or its place between the two fixed ones (`learned-range`).
   */
  readonly variance: "fixed-small" | "fixed-large" | "learned" | "learned-range";
  /** The network sees timesteps scaled to 0 ... 1000, whatever T is. Those of a continuous time always are. */
  readonly rescaleTimesteps: boolean;
  /**
   * The image that the network tells is not the mean of all that x_t may have come from, but the end of the probability flow through x_t:
   * a consistency function (Song et al. 2023), as students are.
   */
  readonly consistency?: boolean | undefined;
}

/** What of a process a network knows that predicts nothing of it: a classifier. */
export type NoiseConfig = Omit<ProcessConfig, "prediction" | "variance" | "consistency">;

/** The noise of a process alone. */
export function noiseOf(process: NoiseConfig): NoiseConfig {
  const { prediction: _, variance: __, consistency: ___, ...noise } = process as ProcessConfig;
  return noise;
}

/** The kind of a process. */
export const processKind = ({ schedule }: Pick<ProcessConfig, "schedule">): ProcessKind =>
  schedule === "flow" || schedule === "edm" ? schedule : "ddpm";

/** Does the noise grow with a continuous time, and not in steps? */
export const isContinuous = ({ schedule }: Pick<ProcessConfig, "schedule">): boolean =>
  processKind({ schedule }) !== "ddpm";

/** Does the network give the variance, in C channels beside the C of its prediction? */
export const learnsVariance = ({ variance }: Pick<ProcessConfig, "variance">): boolean =>
  variance === "learned" || variance === "learned-range";

/** What a network can predict so that image and noise follow at every noise level. */
const predictions: Readonly<Record<ProcessConfig["schedule"], readonly ProcessConfig["prediction"][]>> = {
  linear: ["eps", "x0", "previous", "v"],
  cosine: ["eps", "x0", "previous", "v"],
  flow: ["velocity", "x0"],
  edm: ["edm", "eps", "x0"],
};

/** What students predict: of each schedule that of which the image of x without noise is x itself, at every weight of the network. */
const ofStudents: Readonly<Record<ProcessConfig["schedule"], ProcessConfig["prediction"]>> = {
  linear: "v",
  cosine: "v",
  flow: "velocity",
  edm: "edm",
};

/**
 * The process of a consistency function on the noise of another process. v, the velocity and EDM's mixture all tell the image as
 * skip x + out F with skip = 1 and out = 0 where there is no noise, the boundary condition of section 3, Song et al. 2023, and with
 * |out| of at most 1 (for `edm` sigmaData) where there is much, where an error of eps would count sigma / alpha times.
 */
export const studentProcess = (process: NoiseConfig): ProcessConfig => ({
  ...noiseOf(process),
  prediction: ofStudents[process.schedule],
  variance: "fixed-small",
  consistency: true,
});

/** What of a process may be chosen; the rest follows from its kind. */
type Choices<K extends keyof ProcessConfig> = { readonly [P in K]?: ProcessConfig[P] };

/**
 * Noise in T steps, alpha^2 + sigma^2 = 1. Ho et al. 2020; the cosine schedule is that of Nichol & Dhariwal 2021.
 *
 * By default the cosine schedule with T = 1000, and a network that predicts eps and no variance.
 *
 * @throws UsageError where choices contradict each other.
 */
export const ddpmProcess = ({
  schedule = "cosine",
  ...choices
}: { readonly schedule?: Schedule } & Choices<
  "steps" | "prediction" | "variance" | "zeroTerminalSnr" | "rescaleTimesteps"
> = {}): ProcessConfig =>
  checked({ schedule, steps: 1000, prediction: "eps", variance: "fixed-small", rescaleTimesteps: false, ...choices });

/**
 * The flow from image to noise in a straight line, alpha = 1 - t and sigma = t. Liu et al. 2023; Lipman et al. 2023.
 *
 * By default the network predicts the velocity eps - x_0. `steps` is how many steps there are where it is sampled as a chain, 1000.
 *
 * @throws UsageError where choices contradict each other.
 */
export const flowProcess = (choices: Choices<"steps" | "prediction" | "variance"> = {}): ProcessConfig =>
  checked({ ...continuous, schedule: "flow", prediction: "velocity", ...choices });

/**
 * Variance-exploding noise, alpha = 1, with the preconditioning of Karras et al. 2022 ("EDM").
 *
 * By default sigma is from 0.002 to 80, sigmaData 0.5, and the network predicts EDM's mixture of image and noise. `steps` is how many
 * steps there are where it is sampled as a chain, 1000.
 *
 * @throws UsageError where choices contradict each other.
 */
export const edmProcess = (
  choices: Choices<"steps" | "prediction" | "variance" | "sigmaRange" | "sigmaData"> = {},
): ProcessConfig => checked({ ...continuous, schedule: "edm", prediction: "edm", ...choices });

const continuous = { steps: 1000, variance: "fixed-small", rescaleTimesteps: false } as const;

function checked(config: ProcessConfig): ProcessConfig {
  checkProcess(config);
  return config;
}

/** What is wrong with a process whose parts contradict each other. */
export function processProblem(config: ProcessConfig): string | undefined {
  const { schedule, prediction, zeroTerminalSnr, sigmaRange, sigmaData } = config;
  if (!predictions[schedule].includes(prediction))
    return `the ${schedule} schedule needs a prediction of ${predictions[schedule].join(", ")}, but it is ${prediction}`;
  if (config.consistency && (prediction !== ofStudents[schedule] || learnsVariance(config)))
    return `a consistency function on the ${schedule} schedule needs the prediction ${ofStudents[schedule]} and a fixed variance, but has ${prediction} and ${config.variance}`;
  if (zeroTerminalSnr && prediction === "eps")
    return (
      "zero terminal SNR leaves nothing of the image at the last timestep, where x_0 cannot be found from a predicted eps; " +
      "train with prediction v or x0, or without zero terminal SNR"
    );
  if (zeroTerminalSnr && isContinuous(config))
    return `zero terminal SNR is for the linear and the cosine schedule, but this is the ${schedule} one; leave it out`;
  if (isContinuous(config) && learnsVariance(config))
    return `variances are learned for steps of a chain, but the ${schedule} schedule has none: choose a fixed variance (--loss simple)`;
  if (schedule !== "edm" && (sigmaRange || sigmaData !== undefined))
    return "sigmaRange and sigmaData are for the edm schedule; leave them out";
  if (sigmaRange && !(sigmaRange[0] > 0 && sigmaRange[0] < sigmaRange[1] && sigmaRange[1] < Infinity))
    return `sigmaRange must be two positive numbers, the least one first, but is ${sigmaRange.join(", ")}`;
  if (sigmaData !== undefined && !(sigmaData > 0 && sigmaData < Infinity))
    return `sigmaData must be a positive number but is ${sigmaData}`;
  return undefined;
}

/** Throws UsageError where the parts of a process contradict each other. */
export function checkProcess(config: ProcessConfig): void {
  const problem = processProblem(config);
  if (problem) throw new UsageError(`process: ${problem}`);
}

/** The noise of a process in words: "cosine schedule, T = 1000". */
export const describeNoise = (config: NoiseConfig): string =>
  [
    `${config.schedule} schedule, T = ${config.steps}`,
    config.zeroTerminalSnr && "zero terminal SNR",
    config.schedule === "edm" && `sigma ${sigmaRangeOf(config).join(" to ")}`,
    config.schedule === "edm" && `sigmaData ${sigmaDataOf(config)}`,
    config.rescaleTimesteps && "rescaled timesteps",
  ]
    .filter(Boolean)
    .join(", ");

/** The defaults are those of table 1, Karras et al. 2022. */
export const sigmaRangeOf = ({ sigmaRange = [0.002, 80] }: Pick<ProcessConfig, "sigmaRange">) => sigmaRange;
export const sigmaDataOf = ({ sigmaData = 0.5 }: Pick<ProcessConfig, "sigmaData">) => sigmaData;
