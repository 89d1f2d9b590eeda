import { type DType, float32, int32, type NDArray, type Shape, sizeOf } from "../../src/ndarray.ts";
import { normals, permutation } from "../../src/random.ts";
import { averagePool2d, concat, conv2d, oneHot, stack, upsampleNearest2d, where } from "../../src/tensor/functions.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import type { Op } from "../../src/tensor/ops.ts";
import { type AnyTensor, apply, constant, scalar, type Tensor } from "../../src/tensor/tensor.ts";
import { input } from "../../src/tensor/trace.ts";

/** A value for an input: float32 and int32 numbers, so that every engine is given exactly the same. */
export type Sample = NDArray<"float32"> | NDArray<"int32">;
type Floats = NDArray<"float32">;

type Leaves = Readonly<Record<string, AnyTensor>>;
type LeavesOf<T> = { [K in keyof T]: T[K] extends NDArray<infer D> ? Tensor<D> : never };

/** A function of tensors and the point at which it is to be evaluated and differentiated. */
export interface Case {
  readonly name: string;
  /** The function's inputs, and a `cotangent` of its output. */
  readonly inputs: Readonly<Record<string, Sample>>;
  /** Names of the inputs to differentiate by. */
  readonly by: readonly string[];
  readonly f: (inputs: Leaves) => Tensor;
}

/** An input leaf for each sample. */
export const leavesOf = <T extends Readonly<Record<string, Sample>>>(samples: T): LeavesOf<T> =>
  Object.fromEntries(
    Object.entries(samples).map(([name, sample]) => [name, input<DType>(name, sample)]),
  ) as LeavesOf<T>;

export function define<const T extends Readonly<Record<string, Sample>>>(
  name: string,
  inputs: T,
  f: (inputs: LeavesOf<T>) => Tensor,
  by: readonly (keyof T & string)[] = Object.keys(inputs).filter((key) => inputs[key]!.dtype === "float32"),
): Case {
  const cotangent = normal(...f(leavesOf(inputs)).shape);
  return { name, inputs: { ...inputs, cotangent }, by, f: f as Case["f"] };
}

/** Sum of a tensor's elements times fixed random weights: a scalar that sees every element. */
export const weighted = (tensor: Tensor, seed: number): Tensor =>
  tensor.mul(constant(float32(tensor.shape, normals(seed, 0, tensor.size)))).sum();

/**
 * A case's output; its first derivatives `first` (vector-Jacobian products with the cotangent); a scalar made of them; and
 * the derivatives `second` of that scalar. A rule is linear in its cotangent, so the derivative by that checks its adjoint.
 */
export function differentiate({ f, by }: Case, leaves: Leaves) {
  const output = f(leaves);
  const cotangent = leaves.cotangent as Tensor;
  const variables = Object.fromEntries(by.map((name) => [name, leaves[name] as Tensor]));
  const first = gradients(output, variables, cotangent);
  const scalarOfFirst = Object.values(first).reduce((sum, g, i) => sum.add(weighted(g, 3 + i)), scalar(0));
  const second = gradients(scalarOfFirst, { ...variables, cotangent });
  return { output, cotangent, first, scalarOfFirst, second };
}

let stream = 0;

/** Normal deviates. */
export const normal = (...shape: number[]): NDArray<"float32"> => float32(shape, normals(1, stream++, sizeOf(shape)));

/** Normal deviates moved away from zero and made positive: the domain of logarithms, roots and quotients. */
const positive = (...shape: number[]): Floats => map(normal(...shape), (x) => 0.5 + Math.abs(x));

/** Numbers 0.25 apart in random order, none nearer to zero (nor, with another `offset`, to those of another sample) than 0.06. */
const spaced = (shape: Shape, offset = 0.25): Floats => {
  const n = sizeOf(shape);
  return float32(
    shape,
    Float32Array.from(permutation(1, stream++, n), (i) => (i - Math.floor(n / 2) + offset) / 4),
  );
};

const map = ({ shape, data }: Sample, f: (x: number) => number): Floats => float32(shape, Float32Array.from(data, f));

const integers = (shape: Shape, ...data: number[]): NDArray<"int32"> => int32(shape, data);

const unary = (name: string, x: Floats, f: (x: Tensor) => Tensor): Case[] => [define(name, { x }, ({ x }) => f(x))];

/** A binary operator on equal shapes, on shapes that broadcast both ways, and with a scalar. */
const binary = (
  name: string,
  f: (a: Tensor, b: Tensor) => Tensor,
  sample: (shape: Shape, offset: number) => Floats = (shape) => normal(...shape),
): Case[] =>
  (
    [
      [
        [2, 3],
        [2, 3],
      ],
      [
        [3, 1, 2],
        [4, 1],
      ],
      [
        [2, 1, 2],
        [1, 3, 1],
      ],
      [[], [2, 2]],
    ] as const
  ).map(([a, b]) =>
    define(`${name} of [${a}] and [${b}]`, { a: sample(a, 0.25), b: sample(b, 0.5) }, ({ a, b }) => f(a, b)),
  );

/** All that matters of a convolution's geometry: kernels 1 and 3, both strides and paddings, images that are not square. */
const geometries = [
  { kernel: 1, stride: 1, padding: 0, size: [3, 4] },
  { kernel: 1, stride: 2, padding: 0, size: [4, 5] },
  { kernel: 3, stride: 1, padding: 1, size: [4, 3] },
  { kernel: 3, stride: 1, padding: 0, size: [5, 4] },
  { kernel: 3, stride: 2, padding: 1, size: [4, 6] },
  { kernel: 3, stride: 2, padding: 1, size: [5, 3] },
  { kernel: 3, stride: 2, padding: 0, size: [6, 5] },
] as const;

const convolutions = (
  f: (dims: {
    readonly label: string;
    readonly x: Shape;
    readonly weight: Shape;
    readonly y: Shape;
    readonly geometry: { stride: number; padding: number };
  }) => Case,
): Case[] =>
  geometries.map(({ kernel, stride, padding, size }) => {
    const [h, w] = size.map((n) => Math.floor((n + 2 * padding - kernel) / stride) + 1);
    return f({
      label: `${kernel}x${kernel} on ${size.join("x")}, stride ${stride}, padding ${padding}`,
      x: [2, 2, ...size],
      weight: [3, 2, kernel, kernel],
      y: [2, 3, h!, w!],
      geometry: { stride, padding },
    });
  });

/** At least one case for each operator: an operator without one does not compile. */
export const operatorCases: { readonly [K in Op]: readonly Case[] } = {
  input: unary("input as output", normal(2, 3), (x) => x),
  constant: [
    define("times a constant", { x: normal(2, 3) }, ({ x }) => x.mul(constant(float32([3], [0.5, -2, 3])))),
    define("constant as output", {}, () => constant(float32([2, 2], [1, -2, 3.5, 0]))),
  ],

  neg: unary("neg", normal(2, 3), (x) => x.neg()),
  abs: unary("abs", spaced([2, 3]), (x) => x.abs()),
  exp: unary("exp", normal(2, 3), (x) => x.exp()),
  log: unary("log", positive(2, 3), (x) => x.log()),
  sqrt: unary("sqrt", positive(2, 3), (x) => x.sqrt()),
  reciprocal: unary("reciprocal", positive(2, 3), (x) => x.neg().reciprocal()),
  silu: unary("silu", normal(2, 3), (x) => x.silu()),
  sigmoid: unary("sigmoid", normal(2, 3), (x) => x.sigmoid()),
  tanh: unary("tanh", normal(2, 3), (x) => x.tanh()),
  erf: unary("erf", normal(2, 3), (x) => x.erf()),
  sin: unary("sin", normal(2, 3), (x) => x.mul(3).sin()),
  cos: unary("cos", normal(2, 3), (x) => x.mul(3).cos()),
  cast: [
    define("cast of bool", { x: spaced([2, 3]) }, ({ x }) => x.less(0).cast("float32").mul(x)),
    define("cast to int32 and back", { x: map(spaced([2, 4]), (x) => 2 * x) }, ({ x }) =>
      x.cast("int32").cast("float32").add(x),
    ),
    define("cast of labels", { y: integers([4], 0, -1, 7, 2) }, ({ y }) => y.cast("float32")),
  ],
  stopGradient: [
    define(
      "stopGradient of one factor",
      { x: normal(2, 3), fixed: normal(2, 3) },
      ({ x, fixed }) => x.mul(fixed.exp().stopGradient()),
      ["x"],
    ),
  ],

  add: [
    ...binary("add", (a, b) => a.add(b)),
    define("add of int32", { a: integers([2, 2], 1, -2, 3, 4), b: integers([2], 10, 20) }, ({ a, b }) =>
      a.add(b).cast("float32"),
    ),
  ],
  sub: binary("sub", (a, b) => a.sub(b)),
  mul: [...binary("mul", (a, b) => a.mul(b)), ...unary("square", normal(2, 3), (x) => x.square())],
  div: binary(
    "div",
    (a, b) => a.div(b),
    (shape) => positive(...shape),
  ),
  pow: [
    ...binary(
      "pow",
      (a, b) => a.pow(b),
      (shape) => positive(...shape),
    ),
    ...unary("third power", normal(2, 3), (x) => x.pow(3)),
    ...unary("power -1.5", positive(2, 3), (x) => x.pow(-1.5)),
    ...unary("powers 1, 2 and 0", normal(2, 3), (x) => x.pow(1).add(x.pow(2)).mul(x.pow(0))),
  ],
  maximum: binary("maximum", (a, b) => a.maximum(b), spaced),
  minimum: binary("minimum", (a, b) => a.minimum(b), spaced),
  less: [
    define("less", { a: spaced([2, 3]), b: spaced([2, 1], 0.5) }, ({ a, b }) => a.less(b).cast("float32").mul(a)),
    define("less of int32", { a: integers([4], 0, 1, 2, 3) }, ({ a }) => a.less(2).cast("float32")),
    define("greater", { a: spaced([2, 3]), b: spaced([2, 1], 0.5) }, ({ a, b }) => where(a.greater(b), a, b.mul(2))),
    define("greater than a number", { a: integers([4], 0, 1, 2, 3) }, ({ a }) => a.greater(2).cast("float32")),
  ],
  equal: [
    define("equal of int32", { x: normal(3, 3), y: integers([3], 2, 0, 1) }, ({ x, y }) => oneHot(y, 3).mul(x)),
    define(
      "equal of float32",
      { a: map(spaced([2, 3]), Math.round), b: spaced([3]) },
      ({ a, b }) => a.equal(1).cast("float32").mul(b),
      ["b"],
    ),
  ],
  where: [
    define("where, broadcast", { c: spaced([3, 1]), a: normal(2, 1, 2), b: normal(2) }, ({ c, a, b }) =>
      where(c.less(0), a, b),
    ),
    define("where with numbers", { x: spaced([2, 3]) }, ({ x }) => where(x.less(0.3), x.square(), -1)),
  ],

  sum: [
    ...unary("sum of all", normal(2, 3), (x) => x.sum()),
    ...unary("sum of the middle", normal(2, 3, 2), (x) => x.sum(1)),
    ...unary("sum of two axes, kept", normal(2, 3, 2, 2), (x) => x.sum([0, 2], true)),
    ...unary("mean of the last", normal(2, 3), (x) => x.mean(-1)),
    ...unary("sum over an axis of length 1", normal(2, 1), (x) => x.sum(1)),
  ],
  max: [
    ...unary("max of all", spaced([2, 3]), (x) => x.max()),
    ...unary("max of two axes", spaced([2, 3, 2]), (x) => x.max([0, 2])),
    ...unary("max of the last, kept", spaced([3, 4]), (x) => x.max(-1, true)),
  ],
  argmax: [
    define("argmax of the last", { x: spaced([3, 4]) }, ({ x }) => x.argmax().cast("float32")),
    define("argmax of the first, kept", { x: spaced([3, 2, 2]) }, ({ x }) => x.argmax(0, true).cast("float32").mul(x)),
    define("argmax of ties", { x: integers([2, 3], 1, 7, 7, 2, 2, 0) }, ({ x }) =>
      x.cast("float32").argmax().cast("float32"),
    ),
    define("the element at argmax", { x: spaced([2, 4]) }, ({ x }) => oneHot(x.argmax(), 4).mul(x).sum(-1)),
  ],
  softmax: [
    ...unary("softmax", normal(2, 4), (x) => x.softmax()),
    ...unary(
      "softmax of large numbers",
      map(normal(2, 3), (x) => 200 + 2 * x),
      (x) => x.softmax(),
    ),
  ],
  logSoftmax: [
    ...unary("logSoftmax", normal(2, 2, 3), (x) => x.logSoftmax()),
    ...unary(
      "logSoftmax of large numbers",
      map(normal(2, 3), (x) => 200 + 2 * x),
      (x) => x.logSoftmax(),
    ),
  ],
  normalize: [
    ...unary("normalize", normal(2, 2, 5), (x) => x.normalize(1e-5)),
    ...unary(
      "normalize of a small standard deviation",
      map(normal(2, 4), (x) => 1 + x / 10),
      (x) => x.normalize(1e-2),
    ),
  ],
  groupNorm: (
    [
      ["per image", 2, [2, 6]],
      ["shared by the images", 3, [1, 6]],
      ["one channel per group", 6, [2, 6]],
    ] as const
  ).map(([label, groups, coefficients]) =>
    define(
      `groupNorm, coefficients ${label}`,
      { x: normal(2, 6, 2, 3), scale: normal(...coefficients), shift: normal(...coefficients) },
      ({ x, scale, shift }) => apply("groupNorm", [x, scale, shift], { groups, epsilon: 1e-3 }),
    ),
  ),
  inverseStd: unary("inverseStd", normal(3, 5), (x) => apply("inverseStd", [x], { epsilon: 1e-3 })),

  reshape: [
    ...unary("reshape", normal(2, 6), (x) => x.exp().reshape(3, -1)),
    ...unary("reshape to a scalar", normal(1, 1), (x) => x.exp().reshape()),
  ],
  permute: [
    ...unary("permute", normal(2, 3, 2, 1), (x) => x.permute(2, 0, 3, 1)),
    ...unary("transpose", normal(2, 2, 3), (x) => x.transpose()),
  ],
  expand: [
    ...unary("expand", normal(2, 1), (x) => x.expand(3, 2, 4)),
    ...unary("expand of a scalar", normal(), (x) => x.expand(2, 2)),
  ],
  slice: [
    ...unary("slice", normal(2, 5), (x) => x.slice(-1, 1, 4)),
    ...unary("split", normal(2, 6), (x) => x.split(1, 3).reduce((a, b) => a.mul(b))),
    ...unary("slice of several axes", normal(3, 4, 2), (x) =>
      apply("slice", [x], { starts: [1, 0, 1], ends: [3, 3, 2] }),
    ),
  ],
  pad: [
    ...unary("pad", normal(2, 3), (x) => x.pad([1, 0], [0, 2])),
    ...unary("negative pad", normal(4, 5), (x) => x.pad([-1, -2], [-1, 0])),
    ...unary("pad and crop at once", normal(2, 4, 3), (x) => x.pad([1, -1, 2], [-1, 2, -1])),
  ],
  flip: [
    ...unary("flip", normal(2, 3), (x) => x.flip(1)),
    ...unary("flip of two axes", normal(2, 2, 3), (x) => x.flip(0, 2)),
  ],
  concat: [
    define("concat", { a: normal(2, 1, 2), b: normal(2, 3, 2), c: normal(2, 2, 2) }, ({ a, b, c }) =>
      concat([a, b, c], 1),
    ),
    define("concat of a tensor with itself", { a: normal(2, 3) }, ({ a }) => concat([a, a.square(), a], -1)),
  ],

  gather: [
    define("rows of a table", { table: normal(4, 3), rows: integers([5], 2, 0, 3, 2, -1) }, ({ table, rows }) =>
      table.gather(0, rows),
    ),
    define("gather with two axes of indices", { x: normal(2, 3, 2), at: integers([2, 2], 2, 0, 1, 2) }, ({ x, at }) =>
      x.gather(1, at).square(),
    ),
    define("gather by a scalar", { x: normal(2, 3), at: integers([], 1) }, ({ x, at }) => x.gather(-1, at).exp()),
    define("gather of int32", { x: integers([3], 7, 8, 9), at: integers([2], 2, 1), by: normal(2) }, ({ x, at, by }) =>
      x.gather(0, at.cast("int64")).cast("float32").mul(by),
    ),
  ],
  scatterAdd: [
    define("scatterAdd of rows", { rows: normal(4, 2), at: integers([4], 2, 0, 2, -1) }, ({ rows, at }) =>
      apply("scatterAdd", [rows, at], { axis: 0, length: 5 }),
    ),
    define(
      "scatterAdd with two axes of indices",
      { x: normal(2, 2, 2, 3), at: integers([2, 2], 2, 0, 1, 2) },
      ({ x, at }) => apply("scatterAdd", [x, at], { axis: 1, length: 4 }).square(),
    ),
  ],

  matmul: [
    define("matmul", { a: normal(2, 3), b: normal(3, 4) }, ({ a, b }) => a.matmul(b)),
    define("matmul of batches", { a: normal(2, 2, 3), b: normal(2, 3, 2) }, ({ a, b }) => a.matmul(b)),
    define("matmul, broadcast", { a: normal(2, 1, 2, 3), b: normal(3, 3, 2) }, ({ a, b }) => a.matmul(b)),
    define("matmul, one matrix for all", { a: normal(2, 2, 3), b: normal(3, 2) }, ({ a, b }) => a.matmul(b)),
    define("matmul of transposes", { a: normal(2, 3, 2), b: normal(2, 4, 3) }, ({ a, b }) =>
      a.transpose().matmul(b.transpose()),
    ),
    define("matmul with itself", { a: normal(3, 3) }, ({ a }) => a.matmul(a)),
  ],
  conv2d: [
    ...convolutions(({ label, x, weight, geometry }) =>
      define(
        `conv2d ${label}`,
        { x: normal(...x), weight: normal(...weight), bias: normal(3) },
        ({ x, weight, bias }) => conv2d(x, weight, bias, geometry),
      ),
    ),
    define("conv2d without bias", { x: normal(1, 2, 3, 3), weight: normal(2, 2, 3, 3) }, ({ x, weight }) =>
      conv2d(x, weight, undefined, { padding: 1 }),
    ),
  ],
  conv2dInputGradient: convolutions(({ label, x, weight, y, geometry }) =>
    define(`conv2dInputGradient ${label}`, { dy: normal(...y), weight: normal(...weight) }, ({ dy, weight }) =>
      apply("conv2dInputGradient", [dy, weight], { ...geometry, size: [x[2]!, x[3]!] }),
    ),
  ),
  conv2dWeightGradient: convolutions(({ label, x, weight, y, geometry }) =>
    define(`conv2dWeightGradient ${label}`, { x: normal(...x), dy: normal(...y) }, ({ x, dy }) =>
      apply("conv2dWeightGradient", [x, dy], { ...geometry, kernel: [weight[2]!, weight[3]!] }),
    ),
  ),

  averagePool2d: [
    ...unary("averagePool2d", normal(2, 2, 4, 6), (x) => averagePool2d(x, 2)),
    ...unary("averagePool2d of threes", normal(1, 2, 3, 6), (x) => averagePool2d(x, 3)),
  ],
  upsampleNearest2d: [
    ...unary("upsampleNearest2d", normal(2, 2, 2, 3), (x) => upsampleNearest2d(x, 2)),
    ...unary("upsampleNearest2d of threes", normal(1, 2, 2, 1), (x) => upsampleNearest2d(x, 3)),
  ],
  kthLargest: [
    ...unary("third largest", spaced([2, 3, 5]), (x) => x.kthLargest(3)),
    ...unary("largest and least", spaced([2, 4]), (x) => x.kthLargest(1).sub(x.kthLargest(4))),
  ],
};

const silu = (x: Tensor): Tensor => x.mul(x.sigmoid());

function groupNorm(x: Tensor, groups: number, weight: Tensor, bias: Tensor): Tensor {
  const [n, c] = x.shape as [number, number];
  return x
    .reshape(n, groups, -1)
    .normalize(1e-5)
    .reshape(...x.shape)
    .mul(weight.reshape(c, 1, 1))
    .add(bias.reshape(c, 1, 1));
}

/** q, k, v [N, heads, T, D] -> [N, heads, T, D]. */
const attention = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
  q
    .matmul(k.transpose())
    .mul(q.shape.at(-1)! ** -0.5)
    .softmax()
    .matmul(v);

/** Compositions as networks, losses and optimizers make them. */
export const compositeCases: readonly Case[] = [
  define("GroupNorm and SiLU", { x: normal(2, 4, 2, 3), weight: normal(4), bias: normal(4) }, ({ x, weight, bias }) =>
    silu(groupNorm(x, 2, weight, bias)),
  ),
  define(
    "adaptive GroupNorm",
    { x: normal(2, 4, 2, 2), weight: normal(4), bias: normal(4), embedding: normal(2, 3), project: normal(3, 8) },
    ({ x, weight, bias, embedding, project }) => {
      const [scale, shift] = silu(embedding).matmul(project).reshape(2, 8, 1, 1).split(1, 2);
      return groupNorm(x, 2, weight, bias).mul(scale!.add(1)).add(shift!);
    },
  ),
  define("attention", { qkv: normal(2, 12, 2, 2) }, ({ qkv }) => {
    const [q, k, v] = qkv.reshape(2, 2, 6, 4).transpose().split(-1, 3);
    return attention(q!, k!, v!).transpose().reshape(2, 4, 2, 2);
  }),
  define(
    "residual block with resampling",
    { x: normal(1, 2, 4, 4), first: normal(4, 2, 3, 3), second: normal(2, 4, 3, 3), bias: normal(2) },
    ({ x, first, second, bias }) => {
      const h = silu(conv2d(x, first, undefined, { stride: 2, padding: 1 }));
      const y = upsampleNearest2d(conv2d(h, second, bias, { padding: 1 }), 2);
      return averagePool2d(concat([x, x.add(y)], 1), 2);
    },
  ),
  define("GELU", { x: normal(2, 4) }, ({ x }) => x.gelu()),
  define("GELU by tanh", { x: normal(2, 4) }, ({ x }) => x.gelu("tanh")),
  define("variance", { x: normal(2, 3, 4) }, ({ x }) => x.variance([0, 2]).add(x.variance())),
  define("variance of the last, kept", { x: normal(2, 5) }, ({ x }) => x.variance(-1, true).add(1e-3).sqrt()),
  define("stack", { a: normal(2, 3), b: normal(2, 3) }, ({ a, b }) => stack([a, b, a.square()], 1)),
  define("stack along a last axis", { a: normal(2), b: normal(2) }, ({ a, b }) => stack([a, b], -1).softmax()),
  define("layer norm", { x: normal(2, 3, 4), weight: normal(4), bias: normal(4) }, ({ x, weight, bias }) =>
    x.normalize(1e-5).mul(weight).add(bias),
  ),
  define(
    "a loss of embedded tokens",
    { table: normal(5, 3), project: normal(3, 5), tokens: integers([2, 3], 4, 0, 4, 1, 1, 2) },
    ({ table, project, tokens }) => {
      const logits = table.gather(0, tokens).gelu().matmul(project).logSoftmax();
      return logits
        .mul(oneHot(tokens, 5).reshape(2, 3, 5))
        .sum(-1)
        .mean()
        .neg();
    },
  ),
  define("timestep embedding", { t: map(normal(2), (x) => 5 * x) }, ({ t }) => {
    const angles = t.reshape(2, 1).mul(constant(float32([3], [1, 0.1, 0.01])));
    return concat([angles.cos(), angles.sin()], -1);
  }),
  define("cross entropy", { logits: normal(3, 4), labels: integers([3], 2, 0, 3) }, ({ logits, labels }) =>
    logits.logSoftmax().mul(oneHot(labels, 4)).sum(-1).mean().neg(),
  ),
  define(
    "Gaussian likelihood with learned range",
    { target: normal(2, 3), mean: normal(2, 3), v: normal(2, 3), low: map(positive(2, 1), (x) => -3 - x) },
    ({ target, mean, v, low }) => {
      const fraction = v.add(1).mul(0.5);
      const logVariance = low.mul(fraction).sub(fraction.sub(1));
      return target.sub(mean).square().mul(logVariance.neg().exp()).add(logVariance).mul(0.5).mean(-1);
    },
  ),
  define(
    "AdamW step",
    { p: normal(3, 2), g: normal(3, 2), m: normal(3, 2), v: positive(3, 2), rate: positive() },
    ({ p, g, m, v, rate }) => {
      const first = m.mul(0.9).add(g.mul(0.1));
      const second = v.mul(0.999).add(g.square().mul(0.001));
      return p.sub(rate.mul(first.div(second.sqrt().add(1e-3)).add(p.mul(0.1))));
    },
  ),
  define("clipped by norm", { a: normal(2, 3), b: normal(4) }, ({ a, b }) => {
    const norm = a.square().sum().add(b.square().sum()).sqrt();
    return a.mul(norm.add(1e-6).reciprocal().minimum(1)).sum(1);
  }),
];

export const allCases: readonly Case[] = [...Object.values(operatorCases).flat(), ...compositeCases];
