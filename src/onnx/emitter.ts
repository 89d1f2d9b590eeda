import { float32 } from "../ndarray.ts";
import type { AnyTensor } from "../tensor/tensor.ts";
import { type Attribute, ModelWriter, type WriterOptions } from "./writer.ts";

/** ONNX Runtime's own operators for images whose channels are stored in blocks. */
const blockedDomain = "com.microsoft.nchwc";

/** Writes the operators of one graph. */
export class Emitter extends ModelWriter {
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

  /** LayerNormalization gives the normalized values and the inverse standard deviation at once, so both operators share it. */
  normalization(x: AnyTensor, epsilon: number): { normalized: string; inverseStd: string } {
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
    return { normalized: base, inverseStd: `${base}_inv` };
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
export function tapsFirst({ node }: AnyTensor): AnyTensor | undefined {
  return node.op === "permute" && node.attributes.axes.join() === "2,3,0,1" ? node.inputs[0] : undefined;
}
