import { ShapeError } from "../errors.ts";
import type { Shape, Tree } from "../ndarray.ts";
import { where } from "./functions.ts";
import type { Attributes, Op } from "./ops.ts";
import { show } from "./shape.ts";
import { type AnyTensor, apply, full, type Labels, scalar, Tensor } from "./tensor.ts";

/** Inputs that only select: no gradient flows to them, and they are no float32. */
interface Selecting {
  where: readonly [condition: Tensor<"bool">, a: Tensor, b: Tensor];
  gather: readonly [x: Tensor, indices: Labels];
  scatterAdd: readonly [slices: Tensor, indices: Labels];
}

/** What a rule sees of an operator's application. Gradients flow through float32 alone, so that is what its inputs are. */
interface Application<K extends Op> {
  readonly inputs: K extends keyof Selecting ? Selecting[K] : readonly Tensor[];
  readonly attributes: Attributes[K];
}

/** From an operator's application, its result and the cotangent of the result: the cotangent of each input, or null for none. */
type Rule<K extends Op> = (node: Application<K>, result: Tensor, cotangent: Tensor) => readonly (Tensor | null)[];

/** Adds up the axes along which `shape` was broadcast to the tensor's shape. */
function sumTo(tensor: Tensor, shape: Shape): Tensor {
  const lead = tensor.rank - shape.length;
  const axes = tensor.shape.flatMap((n, i) => (i < lead || (n !== 1 && shape[i - lead] === 1) ? [i] : []));
  return tensor.sum(axes, true).reshape(...shape);
}

const unary =
  (derivative: (x: Tensor, y: Tensor, dy: Tensor) => Tensor) =>
  ({ inputs: [x] }: { inputs: readonly Tensor[] }, y: Tensor, dy: Tensor): readonly Tensor[] => [derivative(x!, y, dy)];

const binary =
  (derivative: (a: Tensor, b: Tensor, y: Tensor, dy: Tensor) => readonly [Tensor, Tensor]) =>
  ({ inputs: [a, b] }: { inputs: readonly Tensor[] }, y: Tensor, dy: Tensor): readonly Tensor[] => {
    const [da, db] = derivative(a!, b!, y, dy);
    return [sumTo(da, a!.shape), sumTo(db, b!.shape)];
  };

const none = ({ inputs }: { inputs: readonly Tensor[] }): readonly null[] => inputs.map(() => null);
const zerosLike = (x: Tensor): Tensor => full(x.shape, 0);

/** One gradient rule per operator. Each rule is itself built of operators, so gradients of gradients need nothing more. */
const gradientRules: { readonly [K in Op]: Rule<K> } = {
  input: none,
  constant: none,

  neg: unary((_x, _y, dy) => dy.neg()),
  abs: unary((x, _, dy) => where(x.less(0), dy.neg(), dy)),
  exp: unary((_, y, dy) => dy.mul(y)),
  log: unary((x, _, dy) => dy.div(x)),
  sqrt: unary((_, y, dy) => dy.div(y).mul(0.5)),
  reciprocal: unary((_, y, dy) => dy.mul(y).mul(y).neg()),
  sigmoid: unary((_, y, dy) => dy.mul(y.sub(y.square()))),
  // With s the sigmoid: d(x s)/dx = s + x s (1 - s) = y + s (1 - y).
  silu: unary((x, y, dy) => dy.mul(y.add(x.sigmoid().mul(scalar(1).sub(y))))),
  tanh: unary((_, y, dy) => dy.mul(scalar(1).sub(y.square()))),
  erf: unary((x, _, dy) => dy.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI))),
  sin: unary((x, _, dy) => dy.mul(x.cos())),
  cos: unary((x, _, dy) => dy.mul(x.sin()).neg()),
  cast: none,
  stopGradient: none,

  add: binary((_a, _b, _y, dy) => [dy, dy]),
  sub: binary((_a, _b, _y, dy) => [dy, dy.neg()]),
  mul: binary((a, b, _, dy) => [dy.mul(b), dy.mul(a)]),
  div: binary((_, b, y, dy) => [dy.div(b), dy.mul(y).div(b).neg()]),
  // Powers of zero: by the base they have the slope 0 at exponent 0, where 0 / 0 would come; by the exponent they are flat.
  pow: binary((a, b, y, dy) => [
    dy.mul(where(b.equal(0), 0, b.mul(a.pow(b.sub(1))))),
    dy.mul(y.mul(where(a.equal(0), 1, a).log())),
  ]),
  maximum: binary((a, b, _, dy) => [where(a.less(b), 0, dy), where(a.less(b), dy, 0)]),
  minimum: binary((a, b, _, dy) => [where(b.less(a), 0, dy), where(b.less(a), dy, 0)]),
  less: none,
  equal: none,
  where: ({ inputs: [condition, a, b] }, _, dy) => [
    null,
    sumTo(where(condition, dy, 0), a.shape),
    sumTo(where(condition, 0, dy), b.shape),
  ],

  sum: ({ inputs: [x] }, _, dy) => [dy.expand(...x!.shape)],
  // Ties share the gradient.
  max: ({ inputs: [x], attributes: { axes } }, y, dy) => {
    const hit = x!.equal(y).cast("float32");
    return [hit.mul(dy.div(hit.sum(axes, true)))];
  },
  argmax: none,
  softmax: unary((_, y, dy) => {
    const weighted = dy.mul(y);
    return weighted.sub(y.mul(weighted.sum(-1, true)));
  }),
  logSoftmax: unary((x, _, dy) => dy.sub(x.softmax().mul(dy.sum(-1, true)))),
  // With r the inverse standard deviation: dx = r (dy - mean(dy) - y mean(y dy)).
  normalize: ({ inputs: [x], attributes }, y, dy) => {
    const r = apply("inverseStd", [x!], attributes);
    return [
      dy
        .sub(dy.mean(-1, true))
        .sub(y.mul(dy.mul(y).mean(-1, true)))
        .mul(r),
    ];
  },
  // r = (var + epsilon)^(-1/2), so dr/dx_i = -r^2 normalized_i / n.
  inverseStd: ({ inputs: [x], attributes: { epsilon } }, r, dr) => [
    x!.normalize(epsilon).mul(dr.mul(r.square()).mul(-1 / x!.shape.at(-1)!)),
  ],
  // As for `max`.
  kthLargest: ({ inputs: [x] }, y, dy) => {
    const hit = x!.equal(y).cast("float32");
    return [hit.mul(dy.div(hit.sum(-1, true)))];
  },
  // As for `normalize`, with dy scale in place of dy; its two means follow from the sums that scale and shift need anyway,
  // so only sums over pixels and four passes over the images are left.
  groupNorm: ({ inputs: [x, scale, shift], attributes: { groups, epsilon } }, _, dy) => {
    const [n, channels] = x!.shape as [number, number];
    const grouped = x!.reshape(n, groups, -1);
    const size = grouped.shape[2]!;
    const normalized = grouped.normalize(epsilon).reshape(...x!.shape);
    const r = apply("inverseStd", [grouped], { epsilon }); // [N, G, 1]
    const sums = (image: Tensor): Tensor => image.reshape(n, channels, -1).sum(2); // [N, C]
    const dShift = sums(dy);
    const dScale = sums(dy.mul(normalized));
    const perGroup = (sum: Tensor): Tensor =>
      scale!
        .mul(sum)
        .reshape(n, groups, -1)
        .sum(2, true)
        .mul(r)
        .mul(1 / size);
    const spread = (coefficients: Tensor): Tensor => {
      const perChannel = coefficients.expand(n, groups, channels / groups);
      return perChannel.reshape(n, channels, ...x!.shape.slice(2).map(() => 1));
    };
    const dx = dy
      .mul(spread(scale!.expand(n, channels).reshape(n, groups, -1).mul(r)))
      .sub(normalized.mul(spread(perGroup(dScale))).add(spread(perGroup(dShift))));
    return [dx, sumTo(dScale, scale!.shape), sumTo(dShift, shift!.shape)];
  },

  reshape: ({ inputs: [x] }, _, dy) => [dy.reshape(...x!.shape)],
  permute: ({ attributes: { axes } }, _, dy) => [dy.permute(...axes.map((_axis, i) => axes.indexOf(i)))],
  expand: ({ inputs: [x] }, _, dy) => [sumTo(dy, x!.shape)],
  slice: ({ inputs: [x], attributes: { starts, ends } }, _, dy) => [
    dy.pad(
      starts,
      x!.shape.map((n, i) => n - ends[i]!),
    ),
  ],
  pad: ({ attributes: { before, after } }, _, dy) => [
    dy.pad(
      before.map((n) => -n),
      after.map((n) => -n),
    ),
  ],
  flip: ({ attributes: { axes } }, _, dy) => [dy.flip(...axes)],
  concat: ({ inputs, attributes: { axis } }, _, dy) => {
    let end = 0;
    return inputs.map((input) => {
      const start = end;
      end += input.shape[axis]!;
      return dy.slice(axis, start, end);
    });
  },

  gather: ({ inputs: [x, indices], attributes: { axis } }, _, dy) => [
    apply("scatterAdd", [dy, indices], { axis, length: x.shape[axis]! }),
    null,
  ],
  scatterAdd: ({ inputs: [, indices], attributes: { axis } }, _, dy) => [dy.gather(axis, indices), null],

  matmul: ({ inputs: [a, b] }, _, dy) => [
    sumTo(dy.matmul(b!.transpose()), a!.shape),
    sumTo(a!.transpose().matmul(dy), b!.shape),
  ],
  conv2d: ({ inputs: [x, weight, bias], attributes: geometry }, _, dy) => {
    const [, , kh, kw] = weight!.shape;
    const dx = apply("conv2dInputGradient", [dy, weight!], { ...geometry, size: [x!.shape[2]!, x!.shape[3]!] });
    const dWeight = apply("conv2dWeightGradient", [x!, dy], { ...geometry, kernel: [kh!, kw!] });
    return bias ? [dx, dWeight, dy.sum([0, 2, 3])] : [dx, dWeight];
  },
  conv2dInputGradient: ({ inputs: [dy, weight], attributes: { size: _, ...geometry } }, _result, g) => {
    const [, , kh, kw] = weight!.shape;
    return [
      apply("conv2d", [g, weight!], geometry),
      apply("conv2dWeightGradient", [g, dy!], { ...geometry, kernel: [kh!, kw!] }),
    ];
  },
  conv2dWeightGradient: ({ inputs: [x, dy], attributes: { kernel: _, ...geometry } }, _result, g) => [
    apply("conv2dInputGradient", [dy!, g], { ...geometry, size: [x!.shape[2]!, x!.shape[3]!] }),
    apply("conv2d", [x!, g], geometry),
  ],

  averagePool2d: ({ attributes: { factor } }, _, dy) => [
    apply("upsampleNearest2d", [dy], { factor }).mul(1 / factor ** 2),
  ],
  upsampleNearest2d: ({ attributes: { factor } }, _, dy) => [apply("averagePool2d", [dy], { factor }).mul(factor ** 2)],
};

/**
 * Tensors that `roots` depend on, each after its inputs; those in `seen` are left out, and those found are added to it.
 * Iterative: graphs are deeper than the call stack.
 */
export function topological(roots: readonly AnyTensor[], seen = new Set<AnyTensor>()): AnyTensor[] {
  const order: AnyTensor[] = [];
  const stack: { tensor: AnyTensor; next: number }[] = [];
  for (const root of roots) {
    if (!seen.has(root)) stack.push({ tensor: root, next: 0 });
    seen.add(root);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const input = top.tensor.node.inputs[top.next++];
      if (input === undefined) order.push(stack.pop()!.tensor);
      else if (!seen.has(input)) {
        seen.add(input);
        stack.push({ tensor: input, next: 0 });
      }
    }
  }
  return order;
}

/**
 * Reverse-mode derivative of `output` with respect to each tensor of `inputs`, as more graph.
 *
 * @param output float32 of any shape; without `cotangent` it must be a scalar (one element).
 * @param inputs tensors that `output` was computed from; one that it does not depend on gets zeros.
 * @param cotangent same shape as `output`; the result is then the vector-Jacobian product.
 * @returns a gradient of the same shape for each entry of `inputs`.
 */
export function gradients<const T extends Tree<Tensor>>(output: Tensor, inputs: T, cotangent?: Tensor): T {
  if (!cotangent && output.size !== 1)
    throw new ShapeError(
      `gradients: output must be a scalar but is ${show(output.shape)}; sum it, or give a cotangent`,
    );
  if (cotangent && show(cotangent.shape) !== show(output.shape))
    throw new ShapeError(`gradients: cotangent is ${show(cotangent.shape)} but output is ${show(output.shape)}`);

  const wanted = new Set<AnyTensor>();
  const collect = (tree: Tree<Tensor>): void => {
    for (const value of Object.values(tree)) value instanceof Tensor ? wanted.add(value) : collect(value);
  };
  collect(inputs);

  const order = topological([output]);
  const active = new Set<AnyTensor>();
  for (const tensor of order)
    if (wanted.has(tensor) || tensor.node.inputs.some((input) => active.has(input))) active.add(tensor);

  const cotangents = new Map<AnyTensor, Tensor>([[output, cotangent ?? full(output.shape, 1)]]);
  for (const tensor of order.reverse()) {
    const dy = cotangents.get(tensor);
    if (dy === undefined || !active.has(tensor)) continue;
    // A tensor with a cotangent is float32, and so are the inputs that its cotangent flows to.
    const rule = gradientRules[tensor.node.op] as Rule<Op>;
    rule(tensor.node as Application<Op>, tensor as Tensor, dy).forEach((gradient, i) => {
      const input = tensor.node.inputs[i]!;
      if (gradient === null || !active.has(input)) return;
      const sofar = cotangents.get(input);
      cotangents.set(input, sofar ? sofar.add(gradient) : gradient);
    });
  }
  const pick = (tree: Tree<Tensor>): Tree<Tensor> =>
    Object.fromEntries(
      Object.entries(tree).map(([key, value]) => [
        key,
        value instanceof Tensor ? (cotangents.get(value) ?? zerosLike(value)) : pick(value),
      ]),
    );
  return pick(inputs) as T;
}
