import type { Tensor } from "../../tensor/tensor.ts";

/** Tensors by name: weights, or numbers to report. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** Settings of AdamW (Loshchilov & Hutter 2019). */
export interface AdamWOptions {
  /** Decay rates of the running mean and the running mean square of the gradient. */
  betas?: readonly [beta1: number, beta2: number];
  /** Added to the root of the mean square; 1e-8 by default. */
  epsilon?: number;
  /** Decoupled: parameters shrink by learningRate * weightDecay at each update. */
  weightDecay?: number;
}

export const adamwDefaults = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 } as const;

/** Per-update numbers of AdamW, computed on the host in float64. */
export type AdamWCoefficients = ReturnType<typeof adamwCoefficients>;

/**
 * The numbers of AdamW's update number `update` (1, 2, ...). With the bias corrections moved out of the tensors (Kingma & Ba, 2015,
 * end of section 2), the update is theta <- keep theta - stepSize m / (sqrt(v) + epsilon).
 */
export function adamwCoefficients(update: number, learningRate: number, options: AdamWOptions = {}) {
  const { betas, epsilon, weightDecay } = { ...adamwDefaults, ...options };
  const rootCorrection = Math.sqrt(1 - betas[1] ** update);
  return {
    keep: 1 - learningRate * weightDecay,
    stepSize: (learningRate * rootCorrection) / (1 - betas[0] ** update),
    epsilon: epsilon * rootCorrection,
  };
}

/**
 * One update of AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", 2019), as PyTorch defines it.
 *
 * @param parameter theta, of any shape, and likewise its gradient, m and v
 * @param gradientScale factor on the gradient, of rank 0: see `clipScale`
 * @param coefficients `adamwCoefficients` as tensors of rank 0
 */
export function adamw(
  parameter: Tensor,
  gradient: Tensor,
  { m, v }: { m: Tensor; v: Tensor },
  gradientScale: Tensor,
  coefficients: { readonly [K in keyof AdamWCoefficients]: Tensor },
  [beta1, beta2]: readonly [number, number] = adamwDefaults.betas,
): { parameter: Tensor; m: Tensor; v: Tensor } {
  const { keep, stepSize, epsilon } = coefficients;
  const nextM = m.mul(beta1).add(gradient.mul(gradientScale.mul(1 - beta1)));
  const nextV = v.mul(beta2).add(gradient.square().mul(gradientScale.square().mul(1 - beta2)));
  const step = nextM.mul(stepSize).div(nextV.sqrt().add(epsilon));
  return { parameter: parameter.mul(keep).sub(step), m: nextM, v: nextV };
}

/** Euclidean norm of all gradients together, of rank 0. Each tensor is summed row by row first, which keeps float32 accurate. */
export function globalNorm(gradients: readonly Tensor[]): Tensor {
  const squares = gradients.map((g) =>
    g
      .square()
      .reshape(g.shape[0] ?? 1, -1)
      .sum(1)
      .sum(),
  );
  return squares.reduce((a, b) => a.add(b)).sqrt();
}

/** Factor that brings gradients of norm `norm` down to at most `maximum` (PyTorch's clip_grad_norm_); 1 where they are below. */
export const clipScale = (norm: Tensor, maximum: number): Tensor => norm.add(1e-6).reciprocal().mul(maximum).minimum(1);
