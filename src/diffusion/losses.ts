import type { Tensor } from "../tensor/tensor.ts";
import type { Chain, Coefficients } from "./chain.ts";
import { vbTerm } from "./likelihood.ts";
import { predict, splitOutput } from "./prediction.ts";
import { meanPerImage, posteriorMean } from "./process.ts";

/**
 * What training makes small:
 * - `mse`: squared error of the prediction; with learned variances plus the variational term (L_hybrid);
 * - `rescaledMse`: the same, the variational term times T / 1000;
 * - `kl`: the variational term; `rescaledKl`: times T, an estimate of the whole bound.
 */
export type LossKind = "mse" | "rescaledMse" | "kl" | "rescaledKl";

/** Each [N]; `loss` is the sum of the others. `mse` in squared units of the target, `vb` in bits per dimension. */
export interface Losses {
  readonly loss: Tensor;
  readonly mse?: Tensor;
  readonly vb?: Tensor;
}

/**
 * Loss of each image.
 *
 * @param output what the network gave at `xt` and `c.timestep`, [N, C or 2C, H, W].
 * @param images clean images `x0`, the `noise` in them, and `xt = qSample(x0, noise, c)`.
 */
export function trainingLoss(
  kind: LossKind,
  output: Tensor,
  { x0, noise, xt }: { readonly x0: Tensor; readonly noise: Tensor; readonly xt: Tensor },
  c: Coefficients,
  { config, timesteps }: Pick<Chain, "config" | "timesteps">,
): Losses {
  const { value, spread } = splitOutput(output, config);
  if (kind === "kl" || kind === "rescaledKl") {
    const vb = vbTerm(predict({ value, spread }, xt, c, config), x0, xt, c);
    const loss = kind === "kl" ? vb : vb.mul(timesteps.length);
    return { loss, vb: loss };
  }
  const target = { eps: noise, x0, previous: posteriorMean(x0, xt, c) }[config.prediction];
  const mse = meanPerImage(target.sub(value).square());
  if (!spread) return { loss: mse, mse };
  // The bound teaches the variance only: its gradient to the mean is stopped. Section 3.1, Nichol & Dhariwal 2021.
  const frozen = predict({ value: value.stopGradient(), spread }, xt, c, config);
  const vb = vbTerm(frozen, x0, xt, c).mul(kind === "rescaledMse" ? timesteps.length / 1000 : 1);
  return { loss: mse.add(vb), mse, vb };
}
