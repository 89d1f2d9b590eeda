import { UsageError } from "../errors.ts";
import type { Schedule } from "./schedule.ts";

/** What a denoiser was trained to be; stored with the model. */
export interface ProcessConfig {
  readonly schedule: Schedule;
  /** Length T of the chain. */
  readonly steps: number;
  /**
   * Move the schedule so that nothing of the image is left at its end: alpha_T = 0. See `zeroTerminalSnr`. The noise alone does not
   * tell the image there, so this needs another prediction than eps.
   */
  readonly zeroTerminalSnr?: boolean | undefined;
  /** What the network's output stands for: the noise, the image, the mean of x_{t-1}, or v = alpha_t eps - sigma_t x_0. */
  readonly prediction: "eps" | "x0" | "previous" | "v";
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

/** What is wrong with a process whose parts contradict each other. */
export function processProblem({ prediction, zeroTerminalSnr }: ProcessConfig): string | undefined {
  if (zeroTerminalSnr && prediction === "eps")
    return (
      "zero terminal SNR leaves nothing of the image at the last timestep, where x_0 cannot be found from a predicted eps; " +
      "train with prediction v or x0, or without zero terminal SNR"
    );
  return undefined;
}

/** Throws UsageError where the parts of a process contradict each other. */
export function checkProcess(config: ProcessConfig): void {
  const problem = processProblem(config);
  if (problem) throw new UsageError(`process: ${problem}`);
}

/** The noise of a process in words: "cosine schedule, T = 1000". */
export const describeNoise = ({
  schedule,
  steps,
  zeroTerminalSnr,
  rescaleTimesteps,
}: Pick<ProcessConfig, "schedule" | "steps" | "zeroTerminalSnr" | "rescaleTimesteps">): string =>
  [
    `${schedule} schedule, T = ${steps}`,
    zeroTerminalSnr && "zero terminal SNR",
    rescaleTimesteps && "rescaled timesteps",
  ]
    .filter(Boolean)
    .join(", ");
