import { ShapeError } from "./errors.ts";

/** Element types of values. `bool` is stored as one byte per element, 0 or 1. */
export type DType = "float32" | "float64" | "int32" | "int64" | "bool";
/** Those of numbers. */
export type Numeric = Exclude<DType, "bool">;
/** Sizes of the axes, outermost first; [] is that of a single number. */
export type Shape = readonly number[];

/** The typed array that holds the elements of each type. */
export interface ArrayOf {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  bool: Uint8Array;
}
export type TypedArrayOf<D extends DType> = ArrayOf[D];

/** A concrete value: row-major data with a shape. */
export interface NDArray<D extends DType = DType> {
  /** Type of the elements. */
  readonly dtype: D;
  /** Sizes of the axes. */
  readonly shape: Shape;
  /** The elements, row-major. */
  readonly data: ArrayOf[D];
}

/** Is it a value, and no tree of values? */
export const isArray = (value: unknown): value is NDArray =>
  typeof value === "object" && value !== null && "dtype" in value && "data" in value;

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

/** Row-major strides of a shape, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!;
  return strides;
}

function checked<D extends DType>(dtype: D, shape: Shape, data: ArrayOf[D]): NDArray<D> {
  if (data.length !== sizeOf(shape))
    throw new ShapeError(`array: shape [${shape}] holds ${sizeOf(shape)} elements but ${data.length} came`);
  return { dtype, shape: [...shape], data };
}

/** float32 value of `shape`; a typed array is kept, not copied. Throws ShapeError where the lengths differ. */
export const float32 = (shape: Shape, data: ArrayLike<number> = new Float32Array(sizeOf(shape))): NDArray<"float32"> =>
  checked("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data));

/** float64 value of `shape`; a typed array is kept, not copied. Throws ShapeError where the lengths differ. */
export const float64 = (shape: Shape, data: ArrayLike<number> = new Float64Array(sizeOf(shape))): NDArray<"float64"> =>
  checked("float64", shape, data instanceof Float64Array ? data : Float64Array.from(data));

/** int32 value of `shape`; a typed array is kept, not copied. Throws ShapeError where the lengths differ. */
export const int32 = (shape: Shape, data: ArrayLike<number> = new Int32Array(sizeOf(shape))): NDArray<"int32"> =>
  checked("int32", shape, data instanceof Int32Array ? data : Int32Array.from(data));

/** int64 value of `shape`; a typed array is kept, not copied. Throws ShapeError where the lengths differ. */
export const int64 = (
  shape: Shape,
  data: ArrayLike<number | bigint> = new BigInt64Array(sizeOf(shape)),
): NDArray<"int64"> =>
  checked("int64", shape, data instanceof BigInt64Array ? data : BigInt64Array.from(Array.from(data, BigInt)));

/** bool value of `shape`, 0 or 1 an element; a typed array is kept, not copied. Throws ShapeError where the lengths differ. */
export const bool = (
  shape: Shape,
  data: ArrayLike<number | boolean> = new Uint8Array(sizeOf(shape)),
): NDArray<"bool"> => checked("bool", shape, data instanceof Uint8Array ? data : Uint8Array.from(data, Number));

const makers: { readonly [D in DType]: (shape: Shape, data: ArrayLike<number>) => NDArray<D> } = {
  float32,
  float64,
  int32,
  int64,
  bool,
};

/** A value of any type whose elements are all the same number. */
export const filled = <D extends DType>(dtype: D, shape: Shape, value: number): NDArray<D> =>
  makers[dtype](shape, new Array<number>(sizeOf(shape)).fill(value));

/** Where the elements of an array lie in a file: little-endian, row-major, one after the other. */
export interface Place {
  readonly folder: string;
  readonly file: string;
  /** Bytes before the first element. */
  readonly offset: number;
  /** What the system notes of the file and its last change: what is written later may hold other numbers. */
  readonly state: string;
}

export interface StoredOptions {
  /** Tells the elements from all others without reading them. */
  readonly fingerprint: string;
  /** Where they lie as they are, so that an engine can map the file instead. */
  readonly place?: Place | undefined;
}

const stored = new WeakMap<NDArray, StoredOptions>();

/** A float32 value whose elements stay outside memory: `data` reads them anew each time, so who needs them twice keeps them. */
export function storedArray(shape: Shape, read: () => Float32Array, options: StoredOptions): NDArray<"float32"> {
  const value = {
    dtype: "float32",
    shape,
    get data() {
      return read();
    },
  } as const;
  stored.set(value, options);
  return value;
}

/** Where a stored array's elements lie; undefined for arrays in memory, copies of stored ones among them. */
export const placeOf = (value: NDArray): Place | undefined => stored.get(value)?.place;

/** What tells a stored array's elements from all others; undefined for arrays in memory. */
export const fingerprintOf = (value: NDArray): string | undefined => stored.get(value)?.fingerprint;

/** A tree of values with string keys: arguments and results of programs, state dicts. */
export interface Tree<T> {
  readonly [key: string]: T | Tree<T>;
}
