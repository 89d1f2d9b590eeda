import { pseudoHuber } from "../../diffusion/consistency.ts";
import type { Coefficients, ProcessConfig } from "../../diffusion/noise-schedule.ts";
import { predict } from "../../diffusion/prediction.ts";
import { meanPerImage, networkInput, perImage } from "../../diffusion/process.ts";
import { UsageError } from "../../errors.ts";
import type { NDArray } from "../../ndarray.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Tensors } from "../step/adamw.ts";
import type { InitialWeights, Task } from "../task.ts";

/** What the loss of a student depends on. */
export interface ConsistencyLossOptions {
  /** Network output [N, C, H, W] for x_t [N, C, H, W], timestep [N], label [N] and scale of guidance [N]. */
  network: (
    params: Tensors,
    x: Tensor,
    t: Tensor,
    given: { label?: Tensor<"int32"> | undefined; guidanceScale?: Tensor | undefined },
  ) => Tensor;
  /** A process of `consistency`: see `studentProcess`. */
  process: ProcessConfig;
}

/** What `consistencyTask` and `trainConsistency` train, and on what. */
export interface ConsistencyOptions extends ConsistencyLossOptions {
  /** Initial weights of the student, by name: those of its teacher, as far as it has them. */
  weights: InitialWeights;
  /** The pairs of update number `step`: of `trajectoryPairs` or `tuningPairs`. */
  pairsAt: (step: number) => ConsistencyBatch | Promise<ConsistencyBatch>;
}

/** Two places of each of N trajectories, at which a student is to say the same. */
export type ConsistencyBatch = {
  /** The one with more noise, x_t, [N, C, H, W], and the process there, each [N]. */
  readonly x: NDArray<"float32">;
  readonly coefficients: Readonly<Record<keyof Coefficients, NDArray<"float32">>>;
  /** The other: a picture, or x_r with less noise, [N, C, H, W]. */
  readonly end: NDArray<"float32">;
  /** The process at x_r; without it, all are pictures. */
  readonly earlier?: ConsistencyBatch["coefficients"];
  /** With `earlier`: 1 where `end` is a picture all the same, else 0, [N]. */
  readonly isPicture?: NDArray<"float32">;
  /** Factor on each image's loss, [N]. */
  readonly weight: NDArray<"float32">;
  /** What the student is told: labels and scales of guidance, [N]. */
  readonly y?: NDArray<"int32">;
  readonly guidanceScale?: NDArray<"float32">;
};
/** The same as a traced loss sees them. */
export type ConsistencyTensors = Record<"x" | "end" | "weight", Tensor> & {
  coefficients: Coefficients;
  earlier?: Coefficients;
  isPicture?: Tensor;
  y?: Tensor<"int32">;
  guidanceScale?: Tensor;
};

/**
 * The loss of a student, a traced function of its weights and a `ConsistencyBatch`: the distance of f(x_t) from f(x_r), through which no
 * gradient flows, or from the picture where the trajectory ends. Eq. 7, Song et al. 2023; Geng et al. 2024. Metric: `mse`.
 */
export const consistencyLoss =
  ({ network, process }: ConsistencyLossOptions) =>
  (params: Tensors, { x, end, weight, coefficients, earlier, isPicture, y, guidanceScale }: ConsistencyTensors) => {
    const flowEnd = (xt: Tensor, c: Coefficients): Tensor => {
      const output = network(params, networkInput(xt, c.timestep, process), c.timestep, { label: y, guidanceScale });
      return predict(output, xt, c, process).x0;
    };
    const from = flowEnd(x, coefficients);
    const to = earlier && isPicture ? mixed(perImage(isPicture, x), end, flowEnd(end, earlier)).stopGradient() : end;
    return { objective: pseudoHuber(from, to).mul(weight), metrics: { mse: meanPerImage(from.sub(to).square()) } };
  };

/** a where `share` is 1, b where it is 0. */
const mixed = (share: Tensor, a: Tensor, b: Tensor): Tensor => a.mul(share).add(b.mul(share.neg().add(1)));

/** Training a student on pairs of places of one trajectory. Throws UsageError where the process is that of a denoiser. */
export function consistencyTask(options: ConsistencyOptions): Task<ConsistencyBatch> {
  const { weights, pairsAt, process } = options;
  if (!process.consistency)
    throw new UsageError("a student learns where the flow ends: give the process of studentProcess");
  return { weights, batchAt: pairsAt, loss: consistencyLoss(options) as Task<ConsistencyBatch>["loss"] };
}
