import { float32, sizeOf } from "../ndarray.ts";
import { concat } from "../tensor/functions.ts";
import { broadcasting, type Op } from "../tensor/ops.ts";
import { show } from "../tensor/shape.ts";
import { type AnyTensor, apply, constant, type Node, type Tensor } from "../tensor/tensor.ts";
import { type Graph, rewrite } from "../tensor/trace.ts";

/** Pixels of an image from which on its own products are long enough. */
const manyPixels = 256;

/**
 * The gradient of a convolution to its weight, as matrix multiplications; ONNX has no operator for it.
 *
 * For a 3x3 kernel with padding 1: dW[o, i, ky, kx] = sum over n, h, w of dy[n, o, h, w - kx + 1] x[n, i, h + ky - 1, w], both
 * zero outside. So three horizontal shifts of dy, stacked, times each vertical shift of x give all nine taps in three products
 * [3 O, H W] x [H W, I] with a long inner axis.
 */
function weightGradient({ inputs, attributes }: Node<"conv2dWeightGradient">): Tensor {
  const [x, dy] = inputs as readonly [Tensor, Tensor];
  const {
    kernel: [kh, kw],
    stride,
    padding,
  } = attributes;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const [, out, h, w] = dy.shape as [number, number, number, number];
  if (stride === 1 && h === height && w === width) {
    const shifted = (rows: Tensor, amount: number): Tensor => rows.pad([0, amount], [0, -amount]);
    const taps = (size: number) => Array.from({ length: size }, (_, k) => k);
    const large = h * w >= manyPixels;
    // Small images join in one product. They stand innermost then, so that every shift moves whole runs of memory.
    const [images, run] = large ? [n, 1] : [1, n];
    const ordered = (tensor: Tensor): Tensor => (large ? tensor : tensor.reshape(n, -1).transpose());
    const xRows = ordered(x).reshape(-1, h * w * run);
    const dyRows = ordered(dy).reshape(-1, w * run);
    const stack = concat(
      taps(kw).map((kx) => shifted(dyRows, (kx - padding) * run).reshape(images, out, -1)),
      1,
    );
    const products = taps(kh).map((ky) => {
      const rows = shifted(xRows, (padding - ky) * w * run).reshape(images, channels, -1);
      const product = stack.matmul(rows.transpose());
      return large ? product.sum(0) : product.reshape(-1, channels);
    });
    return concat(products, 0).reshape(kh, kw, out, channels).permute(2, 3, 0, 1);
  }
  // The channel first, so that images join the inner axis of the product.
  const xc = x.permute(1, 0, 2, 3);
  const dyc = dy.permute(1, 0, 2, 3);
  // Any other geometry: one product per tap over the pixels that the tap touched.
  const padded = xc.pad([0, 0, padding, padding], [0, 0, padding, padding]);
  const flat = dyc.reshape(out, -1);
  const columns: Tensor[] = [];
  for (let ky = 0; ky < kh; ky++)
    for (let kx = 0; kx < kw; kx++) {
      const touched = strided(padded, ky, kx, h, w, stride);
      columns.push(flat.matmul(touched.reshape(channels, n * h * w).transpose()).reshape(out, channels, 1));
    }
  return concat(columns, 2).reshape(out, channels, kh, kw);
}

/** Every `stride`-th pixel of [C, N, H, W] from (top, left): [C, N, h, w]. */
function strided(x: Tensor, top: number, left: number, h: number, w: number, stride: number): Tensor {
  const [c, n, height, width] = x.shape as [number, number, number, number];
  const bottom = top + h * stride;
  const right = left + w * stride;
  const block = x.pad([0, 0, -top, -left], [0, 0, bottom - height, right - width]);
  return block.reshape(c, n, h, stride, w, stride).slice(3, 0, 1).slice(5, 0, 1).reshape(c, n, h, w);
}

/** normalized * scale + shift. The gradient's rule normalizes the same tensor, which is then shared. */
function groupNorm({ inputs, attributes }: Node<"groupNorm">): Tensor {
  const [x, scale, shift] = inputs as readonly [Tensor, Tensor, Tensor];
  const normalized = x.reshape(x.shape[0]!, attributes.groups, -1).normalize(attributes.epsilon);
  const perChannel = [-1, x.shape[1]!, ...x.shape.slice(2).map(() => 1)];
  return normalized
    .reshape(...x.shape)
    .mul(scale.reshape(...perChannel))
    .add(shift.reshape(...perChannel));
}

/** Drops an expansion that the operator would do by itself. */
function withoutExpansion(tensor: AnyTensor): AnyTensor {
  const { op, inputs, attributes } = tensor.node;
  const [a, b] = inputs as readonly [AnyTensor, AnyTensor];
  const source = (x: AnyTensor, other: AnyTensor): AnyTensor =>
    x.node.op === "expand" && show(other.shape) === show(tensor.shape) ? x.node.inputs[0]! : x;
  const left = source(a, b);
  const right = source(b, left);
  return left === a && right === b ? tensor : apply(op as "add", [left, right], attributes as object);
}

const isScalar = (tensor: AnyTensor): number | undefined => {
  const { op, attributes } = tensor.node;
  return op === "constant" &&
    sizeOf(attributes.value.shape) === 1 &&
    tensor.rank === 0 &&
    attributes.value.dtype === "float32"
    ? Number(attributes.value.data[0])
    : undefined;
};

/** x * a * b -> x * (a b) for numbers a, b; sums and products with 0 and 1 that gradients leave behind. */
function foldScalars(tensor: AnyTensor): AnyTensor {
  const [a, b] = tensor.node.inputs as readonly [AnyTensor, AnyTensor];
  const [left, right] = [isScalar(a), isScalar(b)];
  if (left !== undefined && right === undefined) return foldScalars(apply("mul", [b, a], {}));
  if (right === undefined) return tensor;
  if (right === 1 && a.rank > 0) return a;
  const inner = a.node.op === "mul" ? isScalar(a.node.inputs[1]!) : undefined;
  return inner === undefined ? tensor : apply("mul", [a.node.inputs[0]!, constant(float32([], [inner * right]))], {});
}

/** Moves alike are done once, after the sum: the gradients of micro-batches differ in their numbers alone. */
function addBeforeMoving(sum: AnyTensor): AnyTensor {
  const [a, b] = sum.node.inputs.map(({ node }) => node) as [Node, Node];
  if (a.op !== b.op || (a.op !== "reshape" && a.op !== "permute")) return sum;
  const [x, y] = [a.inputs[0]!, b.inputs[0]!];
  if (show(x.shape) !== show(y.shape) || JSON.stringify(a.attributes) !== JSON.stringify(b.attributes)) return sum;
  return apply(a.op, [addBeforeMoving(apply("add", [x, y], {}))], a.attributes as never);
}

/**
 * Sums of parts that were padded with zeros to lie side by side, as the gradients of slices are, are one concatenation.
 */
function joinPads(sum: AnyTensor): AnyTensor {
  const [first, second] = sum.node.inputs.map(partOf);
  if (!first || !second || first.axis !== second.axis) return sum;
  const [low, high] = first.start < second.start ? [first, second] : [second, first];
  const { axis } = low;
  if (low.end !== high.start) return sum;
  const along = (amount: number): number[] => sum.shape.map((_, i) => (i === axis ? amount : 0));
  return concat([low.source, high.source], axis).pad(along(low.start), along(sum.shape[axis]! - high.end));
}

/** What a tensor, zero elsewhere, holds from `start` to `end` along an axis. */
function partOf({ node, shape }: AnyTensor): { source: Tensor; axis: number; start: number; end: number } | undefined {
  if (node.op !== "pad") return undefined;
  const { before, after } = node.attributes;
  const axes = shape.map((_, i) => i).filter((i) => before[i] !== 0 || after[i] !== 0);
  const axis = axes[0]!;
  if (axes.length !== 1 || before[axis]! < 0 || after[axis]! < 0) return undefined;
  return { source: node.inputs[0] as Tensor, axis, start: before[axis]!, end: shape[axis]! - after[axis]! };
}

/** A permutation of a permutation is one, and none where they cancel. */
function foldPermutes(tensor: AnyTensor): AnyTensor {
  const { node } = tensor as { node: Node<"permute"> };
  const inner = node.inputs[0]!.node;
  if (inner.op !== "permute") return tensor;
  return inner.inputs[0]!.permute(...node.attributes.axes.map((axis) => inner.attributes.axes[axis]!));
}

/** What becomes of operators that ONNX lacks. */
const replacements = {
  conv2dWeightGradient: weightGradient,
  // One kernel to ONNX Runtime, unless the gradient uses the sigmoid too.
  silu: ({ inputs: [x] }) => (x as Tensor).mul((x as Tensor).sigmoid()),
  groupNorm,
} satisfies { readonly [K in Op]?: (node: Node<K>) => Tensor };

/** Operators that no lowered graph has. */
export type Lowered = keyof typeof replacements;

/** What ONNX Runtime does faster in another form. */
const simplifications: { readonly [K in Op]?: (tensor: AnyTensor) => AnyTensor } = {
  add: (tensor) => joinPads(addBeforeMoving(tensor)),
  mul: foldScalars,
  permute: foldPermutes,
  reshape: ({ node, shape }) => node.inputs[0]!.reshape(...shape),
};

/** A graph of operators that ONNX has. */
export interface LoweredGraph extends Graph {
  readonly lowered: true;
}

/**
 * Replaces what ONNX lacks or ONNX Runtime does slowly by expressions that it does well. The meaning stays the same. A lowered graph,
 * lowered again, is the same graph.
 */
export function lower(graph: Graph): LoweredGraph {
  const lowered = rewrite(graph, (tensor) => {
    const { node } = tensor;
    const replace = (replacements as { readonly [K in Op]?: (node: Node) => AnyTensor })[node.op];
    if (replace) return replace(node);
    const slim = broadcasting.has(node.op) ? withoutExpansion(tensor) : tensor;
    return simplifications[node.op]?.(slim) ?? slim;
  });
  return { ...lowered, lowered: true };
}
