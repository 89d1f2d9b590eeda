import { float32, type NDArray, type Shape, sizeOf, stridesOf } from "../ndarray.ts";
import { elementsOf, partLength } from "./bytes.ts";
import { bfloat16ToFloat32, halfToFloat32 } from "./float16.ts";
import type { LazyTensor } from "./lazy-tensor.ts";

/** How a storage class of PyTorch keeps its elements. */
export interface ElementType {
  readonly width: number;
  toFloat32(bytes: Uint8Array): Float32Array;
}

/** The storage classes that are known, by their full name. */
export const ELEMENT_TYPES: Readonly<Record<string, ElementType>> = {
  "torch.FloatStorage": { width: 4, toFloat32: (bytes) => elementsOf(Float32Array, bytes) },
  "torch.DoubleStorage": { width: 8, toFloat32: (bytes) => Float32Array.from(elementsOf(Float64Array, bytes)) },
  "torch.HalfStorage": { width: 2, toFloat32: (bytes) => halfToFloat32(elementsOf(Uint16Array, bytes)) },
  "torch.BFloat16Storage": { width: 2, toFloat32: (bytes) => bfloat16ToFloat32(elementsOf(Uint16Array, bytes)) },
  "torch.LongStorage": { width: 8, toFloat32: (bytes) => Float32Array.from(elementsOf(BigInt64Array, bytes), Number) },
  "torch.IntStorage": { width: 4, toFloat32: (bytes) => Float32Array.from(elementsOf(Int32Array, bytes)) },
  "torch.ShortStorage": { width: 2, toFloat32: (bytes) => Float32Array.from(elementsOf(Int16Array, bytes)) },
  "torch.CharStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(elementsOf(Int8Array, bytes)) },
  "torch.ByteStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(bytes) },
  "torch.BoolStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(bytes) },
};

/** Where the elements of tensors are; several tensors may share one. Read on demand. */
export class Storage {
  readonly type: ElementType;
  /** Elements that the pickle says it has. */
  readonly count: number;
  /** Elements that the file has for it. */
  readonly found: () => number;
  /** `length` bytes of it from `offset`. */
  readonly read: (offset: number, length: number) => Uint8Array;
  constructor(type: ElementType, count: number, found: Storage["found"], read: Storage["read"]) {
    this.type = type;
    this.count = count;
    this.found = found;
    this.read = read;
  }
}

/** A tensor of a checkpoint, not read yet: a strided window on a storage. Elements become float32; integers and float64 are rounded. */
export class StoredTensor implements LazyTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
  constructor(storage: Storage, offset: number, shape: Shape, strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /**
   * What is wrong with it, as the end of a sentence; undefined where nothing is.
   *
   * @param fileSize in bytes: strides of 0 repeat elements, so that a small file could claim any number of them
   */
  problem(fileSize: number): string | undefined {
    const { storage, shape, strides, offset } = this;
    const window = `shape [${shape}], strides [${strides}], offset ${offset}`;
    if (!(sizeOf(shape) <= Math.max(storage.count, fileSize)))
      return `${window}: more elements than the whole file has bytes; refused`;
    if (offset + this.#reach() > storage.count)
      return `${window}: reaches beyond its storage of ${storage.count} elements`;
    const found = storage.found();
    if (found !== storage.count)
      return `expected a storage of ${storage.count} elements but found ${found}; is the file whole?`;
    return undefined;
  }

  read(): NDArray<"float32"> {
    const values = this.#elements(0, this.#reach());
    return float32(this.shape, this.#isContiguous() ? values : gather(values, this.shape, this.strides));
  }

  *parts(): Generator<Float32Array> {
    if (!this.#isContiguous()) return yield this.read().data;
    const count = sizeOf(this.shape);
    const length = partLength / 8; // of the widest elements
    for (let at = 0; at < count; at += length) yield this.#elements(at, Math.min(length, count - at));
  }

  #elements(from: number, count: number): Float32Array {
    const { type, read } = this.storage;
    return count === 0
      ? new Float32Array(0)
      : type.toFloat32(read((this.offset + from) * type.width, count * type.width));
  }

  /** How many elements from the first to the last one used. */
  #reach(): number {
    if (sizeOf(this.shape) === 0) return 0;
    return 1 + this.shape.reduce((sum, n, axis) => sum + (n - 1) * this.strides[axis]!, 0);
  }

  #isContiguous(): boolean {
    const dense = stridesOf(this.shape);
    return this.shape.every((n, axis) => n <= 1 || this.strides[axis] === dense[axis]);
  }
}

function gather(values: Float32Array, shape: Shape, strides: readonly number[]): Float32Array {
  const out = new Float32Array(sizeOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = 0; i < out.length; i++) {
    out[i] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
