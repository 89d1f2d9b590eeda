import { float32, type NDArray, type Shape } from "../ndarray.ts";
import type { Op } from "../tensor/ops.ts";
import type { AnyTensor, Node } from "../tensor/tensor.ts";
import type { Lowered, LoweredGraph } from "./lower.ts";
import { type Attribute, elementType, ModelWriter, type OnnxModel, outputName, type WriterOptions } from "./writer.ts";

/** ONNX Runtime's own operators for images whose channels are stored in blocks. */
const blockedDomain = "com.microsoft.nchwc";

/** Writes the operators of one graph. */
class Emitter extends ModelWriter {
  private readonly names = new Map<AnyTensor, string | (() => string)>();
  private readonly normalizations = new Map<string, string>();
  private readonly blocked = new Map<string, string>();
  private readonly channelBlock: number;
  private readonly varying: ReadonlySet<AnyTensor>;

  constructor(channelBlock: number, varying: ReadonlySet<AnyTensor>, options: WriterOptions) {
    super(options);
    this.channelBlock = channelBlock;
    this.varying = varying;
  }

  name(tensor: AnyTensor): string {
    const name = this.names.get(tensor);
    if (name === undefined) throw new Error(`emit: ${tensor.node.op} is used before it is made`);
    if (typeof name === "string") return name;
    const made = name();
    this.names.set(tensor, made);
    return made;
  }
  /** The tensor's name, or what makes the tensor when its name is asked for. */
  setName(tensor: AnyTensor, name: string | (() => string)): void {
    this.names.set(tensor, name);
  }

  /** LayerNormalization gives the normalized values and the inverse deviation at once, so both operators share it. */
  normalization(x: AnyTensor, epsilon: number): { normalized: string; inverseDeviation: string } {
    const key = `${this.name(x)} ${epsilon}`;
    const length = x.shape.at(-1)!;
    let base = this.normalizations.get(key);
    if (base === undefined) {
      base = this.fresh();
      this.normalizations.set(key, base);
      const ones = this.constant(float32([length], new Float32Array(length).fill(1)), "ones");
      this.add("LayerNormalization", [this.name(x), ones], { axis: -1, epsilon: { float: epsilon } }, [
        base,
        `${base}_mean`,
        `${base}_inv`,
      ]);
    }
    return { normalized: base, inverseDeviation: `${base}_inv` };
  }

  private memo(key: string, make: () => string): string {
    const name = this.blocked.get(key) ?? make();
    this.blocked.set(key, name);
    return name;
  }

  /**
   * A convolution, or with `adjoint` the one that undoes its geometry (stride 1): of the flipped kernel, inputs and outputs
   * exchanged. ONNX Runtime itself moves convolutions with fixed weights to blocks of channels, its fastest layout. With
   * weights that change from run to run (training) it does not, so the same operators are written here.
   */
  convolution(
    x: AnyTensor,
    weight: AnyTensor,
    bias: AnyTensor | undefined,
    padding: number,
    stride = 1,
    adjoint = false,
  ): string {
    const [out, channels] = weight.shape as [number, number, number, number];
    const kernel = weight.shape.slice(2);
    const attributes = { kernel_shape: kernel, strides: [stride, stride], pads: [padding, padding, padding, padding] };
    const optional = bias ? [this.name(bias)] : [];
    const block = this.channelBlock;
    if (block === 1 || out % block || channels % block || !this.varying.has(weight)) {
      const filter = adjoint
        ? this.add("Transpose", [this.flip(this.name(weight), [2, 3])], { perm: [1, 0, 2, 3] })
        : this.name(weight);
      return this.add("Conv", [this.name(x), filter, ...optional], attributes);
    }
    const blockedOp = (type: string, inputs: string[], attributes: Record<string, Attribute> = {}): string =>
      this.add(type, inputs, attributes, [this.fresh()], blockedDomain);
    const input = this.memo(this.name(x), () => blockedOp("ReorderInput", [this.name(x)]));
    const filter = this.memo(`${this.name(tapsFirst(weight) ?? weight)} ${adjoint}`, () =>
      this.blockedFilter(weight, adjoint),
    );
    const result = blockedOp("Conv", [input, filter, ...optional], attributes);
    return blockedOp("ReorderOutput", [result], { channels: adjoint ? channels : out });
  }

  /** A kernel as [O / B, I / B, K, K, B of I, B of O]; from [K, K, O, I] each step moves runs of numbers, which is fast. */
  private blockedFilter(weight: AnyTensor, adjoint: boolean): string {
    const [out, channels, kh, kw] = weight.shape as [number, number, number, number];
    const [b, taps] = [this.channelBlock, kh * kw];
    const [outs, ins] = [out / b, channels / b];
    const reshape = (name: string, ...shape: number[]): string => this.add("Reshape", [name, this.integers(shape)]);
    const permute = (name: string, ...perm: number[]): string => this.add("Transpose", [name], { perm });
    const source = tapsFirst(weight);
    const tapped = source ? this.name(source) : taps === 1 ? this.name(weight) : permute(this.name(weight), 2, 3, 0, 1);
    if (!adjoint) {
      const outsLast = permute(reshape(tapped, taps * outs, b, channels), 0, 2, 1);
      const ordered = permute(reshape(outsLast, taps, outs, ins, b * b), 1, 2, 0, 3);
      return reshape(ordered, out, channels, kh, kw);
    }
    const split = reshape(tapped, taps, outs, b, ins, b);
    const flipped = taps === 1 ? split : this.flip(split, [0]);
    return reshape(permute(flipped, 3, 1, 0, 2, 4), channels, out, kh, kw);
  }

  /** The name of `tensor` as an operand. ONNX Runtime takes [..., 1] with a number one element at a time, unless both have the same rank. */
  beside({ rank, shape }: AnyTensor, tensor: AnyTensor): string {
    const name = this.name(tensor);
    if (tensor.rank > 0 || shape.at(-1) !== 1) return name;
    return this.memo(`${name} of rank ${rank}`, () =>
      this.add("Reshape", [name, this.integers(new Array<number>(rank).fill(1))]),
    );
  }

  flip(name: string, axes: readonly number[]): string {
    const all = (value: number): string => this.integers(axes.map(() => value));
    return this.add("Slice", [name, all(-1), all(-(2 ** 31)), this.integers(axes), all(-1)]);
  }
}

/** The tensor [K, K, O, I] that a kernel [O, I, K, K] is a permutation of. */
function tapsFirst({ node }: AnyTensor): AnyTensor | undefined {
  return node.op === "permute" && node.attributes.axes.join() === "2,3,0,1" ? node.inputs[0] : undefined;
}

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
  maximum: broadcasting("Max"),
  minimum: broadcasting("Min"),
  less: broadcasting("Less"),
  equal: broadcasting("Equal"),
  where: simple("Where"),

  sum: ({ inputs: [x], attributes: { axes } }, emitter) =>
    emitter.add("ReduceSum", [emitter.name(x!), emitter.integers(axes)], { keepdims: 1 }),
  max: ({ inputs: [x], attributes: { axes } }, emitter) =>
    emitter.add("ReduceMax", [emitter.name(x!)], { axes, keepdims: 1 }),
  softmax: ({ inputs: [x] }, emitter) => emitter.add("Softmax", [emitter.name(x!)], { axis: -1 }),
  logSoftmax: ({ inputs: [x] }, emitter) => emitter.add("LogSoftmax", [emitter.name(x!)], { axis: -1 }),
  normalize: ({ inputs: [x], attributes: { epsilon } }, emitter) => emitter.normalization(x!, epsilon).normalized,
  inverseDeviation: ({ inputs: [x], attributes: { epsilon } }, emitter) =>
    emitter.normalization(x!, epsilon).inverseDeviation,
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
