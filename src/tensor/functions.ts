import { ShapeError } from "../errors.ts";
import { type DType, int32 } from "../ndarray.ts";
import { positive, show } from "./shape.ts";
import { type AnyTensor, apply, constant, type Labels, like, type Operand, scalar, type Tensor } from "./tensor.ts";

/** Element by element: `a` where the condition holds, else `b`. */
export function where<D extends DType>(condition: Tensor<"bool">, a: Operand<NoInfer<D>>, b: Tensor<D>): Tensor<D>;
export function where<D extends DType = "float32">(
  condition: Tensor<"bool">,
  a: Operand<D>,
  b: Operand<NoInfer<D>>,
): Tensor<D>;
export function where(condition: Tensor<"bool">, a: Operand<DType>, b: Operand<DType>): AnyTensor {
  const type = typeof a === "number" ? (typeof b === "number" ? scalar(b) : b) : a;
  return apply<"where", DType>("where", [condition, like(type, a), like(type, b)], {});
}

/** Tensors that differ along one axis alone, joined along it. Throws ShapeError where they differ elsewhere, or there are none. */
export const concat = <D extends DType>(tensors: readonly Tensor<D>[], axis: number): Tensor<D> =>
  tensors.length === 1 ? tensors[0]! : apply("concat", tensors, { axis: positive(axis, tensors[0]?.rank ?? 0) });

/**
 * Tensors of one shape side by side along a new axis, which stands before axis `axis` (negative: -1 makes it the last).
 * Throws ShapeError where their shapes differ, or there are none.
 */
export function stack<D extends DType>(tensors: readonly Tensor<D>[], axis = 0): Tensor<D> {
  const shapes = new Set(tensors.map(({ shape }) => show(shape)));
  if (shapes.size !== 1)
    throw new ShapeError(`stack: takes tensors of one shape but got ${[...shapes].join(" and ") || "none"}`);
  const { shape, rank } = tensors[0]!;
  const at = positive(axis, rank + 1);
  if (at < 0 || at > rank) throw new ShapeError(`stack: axis ${axis} is outside ${show(shape)} with one more axis`);
  return concat(
    tensors.map((tensor) => tensor.reshape(...shape.toSpliced(at, 0, 1))),
    at,
  );
}

/** labels int32 or int64 [N] -> float32 [N, classes], 1 at the label. A label outside 0..classes-1 gives a row of zeros. */
export const oneHot = (labels: Labels, classes: number): Tensor =>
  labels
    .reshape(-1, 1)
    .equal(
      constant(
        int32(
          [1, classes],
          Int32Array.from({ length: classes }, (_, i) => i),
        ),
      ).cast(labels.dtype),
    )
    .cast("float32");

/**
 * The operator; guidestar/nn has a layer of this name, which brings its own weight and bias. Zeros around x as far as `padding`.
 * x [N, I, H, W], weight [O, I, K, K], bias [O] -> [N, O, H', W']. Throws ShapeError where they do not fit.
 */
export const conv2d = (x: Tensor, weight: Tensor, bias?: Tensor, { stride = 1, padding = 0 } = {}): Tensor =>
  apply("conv2d", bias ? [x, weight, bias] : [x, weight], { stride, padding });

/** Mean over blocks of factor x factor pixels: [N, C, H, W] -> [N, C, H / factor, W / factor]. */
export const averagePool2d = (x: Tensor, factor: number): Tensor => apply("averagePool2d", [x], { factor });

/** Every pixel repeated factor x factor times: [N, C, H, W] -> [N, C, factor H, factor W]. */
export const upsampleNearest2d = (x: Tensor, factor: number): Tensor => apply("upsampleNearest2d", [x], { factor });
