import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import type { Op } from "../tensor/ops.ts";
import type { AnyTensor, Node } from "../tensor/tensor.ts";
import { Emitter, tapsFirst } from "./emitter.ts";
import type { Lowered, LoweredGraph } from "./lower.ts";
import { elementType, type OnnxModel, outputName, type WriterOptions } from "./writer.ts";

type Rule<K extends Op> = (node: Node<K>, emitter: Emitter, result: AnyTensor) => string;

const simple =
  (type: string) =>
  ({ inputs }: Node, emitter: Emitter): string =>
    emitter.add(
      type,
      inputs.map((input) => emitter.name(input)),
    );

const broadcasting =
  (type: string) =>
  ({ inputs }: Node, emitter: Emitter): string => {
    const [a, b] = inputs as readonly [AnyTensor, AnyTensor];
    return emitter.add(type, [emitter.beside(b, a), emitter.beside(a, b)]);
  };

const allAxes = (shape: Shape): number[] => shape.map((_, i) => i);

/** One emission rule per operator: appends ONNX nodes and returns the name of the result. */
const rules: { readonly [K in Exclude<Op, Lowered>]: Rule<K> } = {
  input: ({ attributes }) => attributes.name,
  constant: ({ attributes }, emitter) => emitter.constant(attributes.value),

  neg: simple("Neg"),
  abs: simple("Abs"),
  exp: simple("Exp"),
  log: simple("Log"),
  sqrt: simple("Sqrt"),
  reciprocal: simple("Reciprocal"),
  sigmoid: simple("Sigmoid"),
  tanh: simple("Tanh"),
  erf: simple("Erf"),
  sin: simple("Sin"),
  cos: simple("Cos"),
  stopGradient: ({ inputs: [x] }, emitter) => emitter.name(x!),
  cast: ({ inputs: [x], attributes: { dtype } }, emitter) =>
    emitter.add("Cast", [emitter.name(x!)], { to: elementType[dtype] }),

  add: broadcasting("Add"),
  sub: broadcasting("Sub"),
  mul: broadcasting("Mul"),
  div: broadcasting("Div"),
  pow: broadcasting("Pow"),
  maximum: broadcasting("Max"),
  minimum: broadcasting("Min"),
  less: broadcasting("Less"),
  equal: broadcasting("Equal"),
  where: simple("Where"),

  sum: ({ inputs: [x], attributes: { axes } }, emitter) =>
    emitter.add("ReduceSum", [emitter.name(x!), emitter.integers(axes)], { keepdims: 1 }),
  max: ({ inputs: [x], attributes: { axes } }, emitter) =>
    emitter.add("ReduceMax", [emitter.name(x!)], { axes, keepdims: 1 }),
  argmax: ({ inputs: [x], attributes: { axis } }, emitter) =>
    emitter.add("Cast", [emitter.add("ArgMax", [emitter.name(x!)], { axis, keepdims: 1 })], { to: elementType.int32 }),
  softmax: ({ inputs: [x] }, emitter) => emitter.add("Softmax", [emitter.name(x!)], { axis: -1 }),
  logSoftmax: ({ inputs: [x] }, emitter) => emitter.add("LogSoftmax", [emitter.name(x!)], { axis: -1 }),
  normalize: ({ inputs: [x], attributes: { epsilon } }, emitter) => emitter.normalization(x!, epsilon).normalized,
  inverseStd: ({ inputs: [x], attributes: { epsilon } }, emitter) => emitter.normalization(x!, epsilon).inverseStd,
  kthLargest: ({ inputs: [x], attributes: { k } }, emitter) => {
    const values = emitter.fresh();
    emitter.add("TopK", [emitter.name(x!), emitter.integers([k])], { axis: -1 }, [values, `${values}_at`]);
    return emitter.add("Slice", [values, emitter.integers([k - 1]), emitter.integers([k]), emitter.integers([-1])]);
  },

  reshape: ({ inputs: [x], attributes: { shape } }, emitter) =>
    emitter.add("Reshape", [emitter.name(x!), emitter.integers(shape)]),
  permute: ({ inputs: [x], attributes: { axes } }, emitter) =>
    emitter.add("Transpose", [emitter.name(x!)], { perm: axes }),
  expand: ({ inputs: [x], attributes: { shape } }, emitter) =>
    emitter.add("Expand", [emitter.name(x!), emitter.integers(shape)]),
  slice: ({ inputs: [x], attributes: { starts, ends } }, emitter) => {
    const axes = allAxes(x!.shape).filter((i) => starts[i] !== 0 || ends[i] !== x!.shape[i]);
    const pick = (values: readonly number[]): string => emitter.integers(axes.map((i) => values[i]!));
    return emitter.add("Slice", [emitter.name(x!), pick(starts), pick(ends), emitter.integers(axes)]);
  },
  pad: ({ inputs: [x], attributes: { before, after } }, emitter) =>
    emitter.add("Pad", [emitter.name(x!), emitter.integers([...before, ...after])]),
  flip: ({ inputs: [x], attributes: { axes } }, emitter) => emitter.flip(emitter.name(x!), axes),
  concat: ({ inputs, attributes: { axis } }, emitter) =>
    emitter.add(
      "Concat",
      inputs.map((input) => emitter.name(input)),
      { axis },
    ),
  gather: ({ inputs: [x, indices], attributes: { axis } }, emitter) =>
    emitter.add("Gather", [emitter.name(x!), emitter.name(indices!)], { axis }),
  // ScatterElements wants an index for every element: [before, indices, after], the same for all of a slice.
  scatterAdd: ({ inputs: [slices, indices], attributes: { axis, length } }, emitter, { shape }) => {
    const [before, after] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
    const reshape = (name: string, ...lengths: number[]): string =>
      emitter.add("Reshape", [name, emitter.integers(lengths)]);
    const expand = (name: string, ...lengths: number[]): string =>
      emitter.add("Expand", [name, emitter.integers(lengths)]);
    const zeros = expand(emitter.constant(float32([], [0])), before, length, after);
    const places = expand(reshape(emitter.name(indices!), 1, -1, 1), before, indices!.size, after);
    const inputs = [zeros, places, reshape(emitter.name(slices!), before, -1, after)];
    return reshape(emitter.add("ScatterElements", inputs, { axis: 1, reduction: { text: "add" } }), ...shape);
  },

  matmul: simple("MatMul"),
  conv2d: ({ inputs: [x, weight, bias], attributes: { stride, padding } }, emitter) =>
    emitter.convolution(x!, weight!, bias, padding, stride),
  conv2dInputGradient: ({ inputs: [dy, weight], attributes: { stride, padding, size } }, emitter) => {
    const [kh, kw] = weight!.shape.slice(2) as [number, number];
    if (stride === 1 && kh === kw && padding < kh)
      return emitter.convolution(dy!, weight!, undefined, kh - 1 - padding, 1, true);
    const kernel = weight!.shape.slice(2);
    // Rows and columns at the end that no window of the forward convolution reached.
    const rest = size.map((n, i) => n - ((dy!.shape[2 + i]! - 1) * stride + kernel[i]! - 2 * padding));
    return emitter.add("ConvTranspose", [emitter.name(dy!), emitter.name(weight!)], {
      kernel_shape: kernel,
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      output_padding: rest,
    });
  },

  averagePool2d: ({ inputs: [x], attributes: { factor } }, emitter) =>
    emitter.add("AveragePool", [emitter.name(x!)], { kernel_shape: [factor, factor], strides: [factor, factor] }),
  upsampleNearest2d: ({ inputs: [x], attributes: { factor } }, emitter) =>
    emitter.add("Resize", [emitter.name(x!), "", emitter.constant(float32([4], [1, 1, factor, factor]))], {
      mode: { text: "nearest" },
      coordinate_transformation_mode: { text: "asymmetric" },
      nearest_mode: { text: "floor" },
    }),
};

/** How a graph becomes an ONNX model. */
export interface EmitOptions extends WriterOptions {
  /** Values of inputs that are fixed: they become initializers, which ONNX Runtime packs for its kernels. */
  readonly bound?: ReadonlyMap<string, NDArray>;
  /** Channels per block of ONNX Runtime's blocked convolutions on this machine; 1 (the default) uses standard ONNX only. */
  readonly channelBlock?: number;
  /** What the model calls an output of the graph; by default a name that no input has. */
  readonly nameOutput?: (name: string) => string;
}

/** Writes a lowered graph as an ONNX model. */
export function emit(
  { inputs, outputs, nodes }: LoweredGraph,
  { bound = new Map(), channelBlock = 1, nameOutput = outputName, ...options }: EmitOptions = {},
): OnnxModel {
  const emitter = new Emitter(channelBlock, varying(nodes, bound), options);
  for (const [name, tensor] of inputs) {
    const value = bound.get(name);
    if (value) emitter.initializer(name, value);
    else emitter.input(name, tensor);
    emitter.setName(tensor, name);
  }
  for (const tensor of nodes) {
    if (tensor.node.op === "input") continue;
    const rule = rules[tensor.node.op as keyof typeof rules] as Rule<Op>;
    const make = () => rule(tensor.node, emitter, tensor);
    // Kernels may be wanted in the engine's own order alone, not as they stand.
    emitter.setName(tensor, tapsFirst(tensor) ? make : make());
  }
  for (const [name, tensor] of outputs) emitter.output(nameOutput(name), emitter.name(tensor), tensor);
  return emitter.finish();
}

/** The tensors that depend on an input without a fixed value. */
export function varying(nodes: readonly AnyTensor[], bound: ReadonlyMap<string, NDArray>): ReadonlySet<AnyTensor> {
  const found = new Set<AnyTensor>();
  for (const tensor of nodes) {
    const { op, attributes, inputs } = tensor.node;
    if (op === "input" ? !bound.has(attributes.name) : inputs.some((input) => found.has(input))) found.add(tensor);
  }
  return found;
}
