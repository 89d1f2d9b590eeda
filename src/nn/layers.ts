import { ShapeError } from "../errors.ts";
import { conv2d as convolve, oneHot } from "../tensor/functions.ts";
import type { Labels, Tensor } from "../tensor/tensor.ts";
import { type Initialization, module, parameter } from "./module.ts";

/** U(-1/sqrt(fanIn), 1/sqrt(fanIn)): PyTorch's start of convolutions and linear layers. */
const fanIn = (inputs: number): Initialization => ({ kind: "uniform", bound: 1 / Math.sqrt(inputs) });

/** A layer without parameters: x sigmoid(x) (Elfwing et al. 2017), of any shape. */
export const silu = (x: Tensor): Tensor => x.silu();

/** A layer without parameters: x Phi(x), exact by erf (Hendrycks & Gimpel 2016), of any shape. By tanh it is `x.gelu("tanh")`. */
export const gelu = (x: Tensor): Tensor => x.gelu();

/** A layer that leaves x as it is. */
export const identity = (x: Tensor): Tensor => x;

/**
 * A layer, which has its own kernel and bias; the operator of this name, in guidestar/tensor, is given them. Zeros around, an odd
 * kernel: [N, I, H, W] -> [N, O, H / stride, W / stride], rounded up.
 */
export const conv2d = (inputs: number, outputs: number, kernel: number, { stride = 1 } = {}) =>
  module(
    {
      weight: parameter([outputs, inputs, kernel, kernel], fanIn(inputs * kernel ** 2)),
      bias: parameter([outputs], fanIn(inputs * kernel ** 2)),
    },
    ({ weight, bias }, x: Tensor) => convolve(x, weight, bias, { stride, padding: (kernel - 1) / 2 }),
  );

/** A layer, the same linear map at every position: [N, I, H, W] -> [N, O, H, W]. Its weight is stored as that of a 1-d convolution. */
export const pointwise = (inputs: number, outputs: number) =>
  module(
    { weight: parameter([outputs, inputs, 1], fanIn(inputs)), bias: parameter([outputs], fanIn(inputs)) },
    ({ weight, bias }, x: Tensor) => convolve(x, weight.reshape(outputs, inputs, 1, 1), bias),
  );

/** A layer, x W^T + b: [N, I] -> [N, O], or [..., N, I] -> [..., N, O]. */
export const linear = (inputs: number, outputs: number) =>
  module(
    { weight: parameter([outputs, inputs], fanIn(inputs)), bias: parameter([outputs], fanIn(inputs)) },
    ({ weight, bias }, x: Tensor) => x.matmul(weight.transpose()).add(bias),
  );

/** A layer, x W^T: [N, I] -> [N, O]. Zeros stay zeros. */
export const linearMap = (inputs: number, outputs: number) =>
  module({ weight: parameter([outputs, inputs], fanIn(inputs)) }, ({ weight }, x: Tensor) =>
    x.matmul(weight.transpose()),
  );

/**
 * A layer with a learned row for each of `rows` labels: int32 or int64 [N] -> [N, width]. A label outside gives zeros. Labels of few
 * classes are multiplied as one-hot rows; for thousands of rows, as of tokens, `weight.gather(0, labels)` is much faster.
 */
export const embedding = (rows: number, width: number) =>
  module({ weight: parameter([rows, width], { kind: "normal", std: 1 }) }, ({ weight }, labels: Labels) => {
    if (labels.rank !== 1) throw new ShapeError(`embedding: labels must be [N] but are [${labels.shape.join(", ")}]`);
    return oneHot(labels, rows).matmul(weight);
  });

/** Applies functions one after the other; those that take a second argument get `emb`. */
export const sequential = (layers: readonly ((x: Tensor, emb: Tensor) => Tensor)[], x: Tensor, emb: Tensor): Tensor =>
  layers.reduce((h, layer) => layer(h, emb), x);
