import { describe, expect, test } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import { type DType, float32 } from "../../src/ndarray.ts";
import { averagePool2d, concat, conv2d, stack, upsampleNearest2d, where } from "../../src/tensor/functions.ts";
import { type Op, operators } from "../../src/tensor/ops.ts";
import { type AnyTensor, apply, constant, type Labels, scalar, type Tensor } from "../../src/tensor/tensor.ts";
import { b8, f32 as floats, input, i32 as integers } from "../../src/tensor/trace.ts";
import { allCases, leavesOf } from "../support/cases.ts";
import { evaluate } from "../support/interpreter.ts";

const f32 = (...shape: number[]): Tensor => input("x", floats(...shape));
/** Integers that the compiler takes for float32, as JavaScript would pass them. */
const i32 = (...shape: number[]): Tensor => input<DType>("y", integers(...shape)) as Tensor;

const labels = (...shape: number[]): Labels => input("y", integers(...shape));
const flags = (...shape: number[]): Tensor<"bool"> => input("z", b8(...shape));

test.each(allCases)("the shape rule tells what the interpreter computes: $name", ({ inputs, f }) => {
  const output = f(leavesOf(inputs));
  expect(evaluate({ output }, inputs).output.shape).toEqual(output.shape);
});

type Mistake = readonly [() => AnyTensor, string];

const takesFloat = (
  op: "neg" | "abs" | "exp" | "log" | "sqrt" | "reciprocal" | "sigmoid" | "silu" | "tanh" | "erf" | "sin" | "cos",
): Mistake[] => [[() => apply(op, [i32(2)], {}), `${op}: takes float32 but got int32 [2]; cast it first`]];

/** Mistakes, and what is said about each: at least one per operator that can refuse something. */
const mistakes: { readonly [K in Exclude<Op, "input" | "constant" | "stopGradient" | "cast">]: readonly Mistake[] } = {
  neg: takesFloat("neg"),
  abs: takesFloat("abs"),
  exp: takesFloat("exp"),
  log: takesFloat("log"),
  sqrt: takesFloat("sqrt"),
  reciprocal: takesFloat("reciprocal"),
  sigmoid: takesFloat("sigmoid"),
  silu: takesFloat("silu"),
  tanh: takesFloat("tanh"),
  erf: takesFloat("erf"),
  sin: takesFloat("sin"),
  cos: takesFloat("cos"),

  add: [
    [() => f32(2, 3).add(f32(4, 3)), "add: [2, 3] and [4, 3] do not broadcast (axis 0: 2 against 4)"],
    [() => f32(2, 3).add(f32(2)), "add: [2, 3] and [2] do not broadcast (axis 1: 3 against 2)"],
    [() => apply("add", [flags(2), flags(2)], {}), "add: takes numbers but got bool [2]; cast it first"],
    [() => f32(2, 3).add(i32(3)), "add: operands have different types: float32 [2, 3] and int32 [3]"],
  ],
  sub: [[() => f32(5).sub(f32(4)), "sub: [5] and [4] do not broadcast (axis 0: 5 against 4)"]],
  mul: [
    [
      () => f32(2, 8, 1, 1).mul(f32(2, 4, 7, 7)),
      "mul: [2, 8, 1, 1] and [2, 4, 7, 7] do not broadcast (axis 1: 8 against 4)",
    ],
  ],
  div: [[() => f32(3, 2).div(f32(2, 2)), "div: [3, 2] and [2, 2] do not broadcast (axis 0: 3 against 2)"]],
  pow: [
    [() => f32(3).pow(f32(2)), "pow: [3] and [2] do not broadcast (axis 0: 3 against 2)"],
    [() => i32(3).pow(i32(3)), "pow: takes float32 but got int32 [3]; cast it first"],
  ],
  maximum: [[() => f32(3).maximum(f32(2)), "maximum: [3] and [2] do not broadcast (axis 0: 3 against 2)"]],
  minimum: [[() => f32(3).minimum(f32(2)), "minimum: [3] and [2] do not broadcast (axis 0: 3 against 2)"]],
  less: [[() => f32(3).less(f32(2)), "less: [3] and [2] do not broadcast (axis 0: 3 against 2)"]],
  equal: [[() => f32(3).equal(i32(3)), "equal: operands have different types: float32 [3] and int32 [3]"]],
  where: [
    // @ts-expect-error: conditions are bool
    [() => where(f32(2), 1, 0), "where: condition must be bool but is float32 [2]"],
    [() => where(f32(2).less(0), f32(2), i32(2)), "where: operands have different types: float32 [2] and int32 [2]"],
    [() => where(f32(2).less(0), f32(3), 0), "where: [2] and [3] do not broadcast (axis 0: 2 against 3)"],
  ],

  sum: [
    [() => f32(2, 3).sum(2), "sum: axis 2 is outside [2, 3]"],
    [() => f32(2, 3).sum([1, -1]), "sum: axes [1,1] name one axis twice"],
    [() => i32(2).sum(), "sum: takes float32 but got int32 [2]; cast it first"],
  ],
  max: [[() => f32(2, 3).max(5), "max: axis 5 is outside [2, 3]"]],
  argmax: [
    [() => f32(2, 3).argmax(2), "argmax: axis 2 is outside [2, 3]"],
    [() => i32(2).argmax(), "argmax: takes float32 but got int32 [2]; cast it first"],
  ],
  kthLargest: [
    [() => f32(2, 3).kthLargest(4), "kthLargest: k must be from 1 to the length of the last axis of [2, 3] but is 4"],
  ],
  softmax: [[() => scalar(1).softmax(), "softmax: takes at least one axis but got a scalar"]],
  logSoftmax: [[() => i32(3).logSoftmax(), "logSoftmax: takes float32 but got int32 [3]; cast it first"]],
  normalize: [[() => scalar(1).normalize(1e-5), "normalize: takes at least one axis but got a scalar"]],
  inverseStd: [
    [() => apply("inverseStd", [scalar(1)], { epsilon: 1 }), "inverseStd: takes at least one axis but got a scalar"],
  ],

  groupNorm: [
    [
      () => apply("groupNorm", [f32(2, 6, 4), f32(1, 6), f32(1, 6)], { groups: 4, epsilon: 1 }),
      "groupNorm: x [2, 6, 4] must be [N, C, ...] with C divisible by 4 groups",
    ],
    [
      () => apply("groupNorm", [f32(2, 6, 4), f32(6), f32(1, 6)], { groups: 2, epsilon: 1 }),
      "groupNorm: scale must be [2 or 1, 6] for x [2, 6, 4] but is [6]",
    ],
  ],

  reshape: [
    [() => f32(2, 3).reshape(4, 2), "reshape: [2, 3] has 6 elements but [4, 2] has 8"],
    [() => f32(2, 3).reshape(4, -1), "reshape: [2, 3] does not divide into [4, -1]"],
    [() => f32(2, 3).reshape(0, -1), "reshape: [2, 3] does not divide into [0, -1]"],
  ],
  permute: [
    [() => f32(2, 3).permute(0), "permute: axes [0] must name every axis of [2, 3] once"],
    [() => f32(2, 3).permute(1, 1), "permute: axes [1,1] name one axis twice"],
  ],
  expand: [
    [() => f32(2, 3).expand(4, 3), "expand: [2, 3] and [4, 3] do not broadcast (axis 0: 2 against 4)"],
    [() => f32(2, 3).expand(3), "expand: [2, 3] does not expand to [3]"],
  ],
  slice: [
    [() => f32(2, 3).slice(1, 1, 4), "slice: 1 to 4 is not a range of axis 1 of [2, 3]"],
    [() => f32(2, 3).slice(0, 1, 1), "slice: 1 to 1 is not a range of axis 0 of [2, 3]"],
    [() => f32(2, 3).split(1, 2)[0]!, "split: axis 1 of [2, 3] does not divide into 2 parts"],
    [
      () => apply("slice", [f32(2, 3)], { starts: [0], ends: [1] }),
      "slice: starts [0] and ends [1] must have one entry per axis of [2, 3]",
    ],
  ],
  pad: [
    [() => f32(2, 3).pad([1], [1]), "pad: amounts [1] and [1] must have one entry per axis of [2, 3]"],
    [() => f32(2, 3).pad([-1, 0], [-1, 0]), "pad: amounts [-1,0] and [-1,0] leave nothing of [2, 3]"],
  ],
  flip: [[() => f32(2, 3).flip(2), "flip: axis 2 is outside [2, 3]"]],
  concat: [
    [() => concat([f32(2, 3), f32(2, 4)], 0), "concat: [2, 3] and [2, 4] differ outside axis 0"],
    [() => concat([f32(2, 3), f32(2)], 0), "concat: [2, 3] and [2] differ outside axis 0"],
    [() => concat([f32(2), i32(2)], 0), "concat: operands have different types: float32 [2] and int32 [2]"],
    [() => concat([], 0), "concat: takes at least one tensor"],
  ],

  gather: [
    [() => f32(2, 3).gather(-3, labels(2)), "gather: axis -1 is outside [2, 3]"],
    // @ts-expect-error: indices are whole numbers
    [() => f32(2, 3).gather(0, f32(2)), "gather: indices must be int32 or int64 but are float32 [2]; cast them first"],
  ],
  scatterAdd: [
    [
      () => apply("scatterAdd", [f32(2, 3), labels(3)], { axis: 0, length: 4 }),
      "scatterAdd: slices [2, 3] must have the indices' axes [3] from axis 0 on",
    ],
  ],

  matmul: [
    [() => f32(2, 3).matmul(f32(4, 5)), "matmul: [2, 3] and [4, 5] do not multiply: takes [..., M, K] and [..., K, N]"],
    [() => f32(3).matmul(f32(3, 2)), "matmul: [3] and [3, 2] do not multiply: takes [..., M, K] and [..., K, N]"],
    [() => f32(2, 2, 3).matmul(f32(5, 3, 2)), "matmul: [2] and [5] do not broadcast (axis 0: 2 against 5)"],
  ],
  conv2d: [
    [
      () => conv2d(f32(8, 48, 16, 16), f32(64, 32, 3, 3)),
      "conv2d: weight is [64, 32, 3, 3] (expects 32 input channels) but x is [8, 48, 16, 16]",
    ],
    [() => conv2d(f32(4, 8, 8), f32(4, 4, 3, 3)), "conv2d: x must be [N, C, H, W] but is [4, 8, 8]"],
    [
      () => conv2d(f32(1, 2, 8, 8), f32(4, 2, 3, 3), f32(3)),
      "conv2d: bias must be [4] for weight [4, 2, 3, 3] but is [3]",
    ],
    [
      () => conv2d(f32(1, 2, 2, 2), f32(4, 2, 3, 3)),
      "conv2d: x [1, 2, 2, 2] is smaller than weight [4, 2, 3, 3] with padding 0",
    ],
  ],
  conv2dInputGradient: [
    [
      () => apply("conv2dInputGradient", [f32(1, 4, 8, 8), f32(4, 2, 3, 3)], { stride: 2, padding: 1, size: [8, 8] }),
      "conv2dInputGradient: cotangent [1, 4, 8, 8] is not what weight [4, 2, 3, 3] makes of 8x8 images",
    ],
  ],
  conv2dWeightGradient: [
    [
      () =>
        apply("conv2dWeightGradient", [f32(1, 2, 8, 8), f32(1, 4, 8, 8)], { stride: 1, padding: 0, kernel: [3, 3] }),
      "conv2dWeightGradient: cotangent [1, 4, 8, 8] is not what a 3x3 kernel makes of x [1, 2, 8, 8]",
    ],
  ],

  averagePool2d: [
    [
      () => averagePool2d(f32(1, 2, 7, 8), 2),
      "averagePool2d: height and width of x [1, 2, 7, 8] must be divisible by 2",
    ],
    [() => averagePool2d(f32(7, 8), 2), "averagePool2d: x must be [N, C, H, W] but is [7, 8]"],
  ],
  upsampleNearest2d: [
    [() => upsampleNearest2d(f32(7, 8), 2), "upsampleNearest2d: x must be [N, C, H, W] but is [7, 8]"],
  ],
};

describe.each(Object.entries(mistakes))("%s refuses", (_op, list) => {
  test.each(list.map(([make, message]) => ({ make, message })))("$message", ({ make, message }) => {
    expect(make).toThrow(ShapeError);
    expect(make).toThrow(message);
  });
});

test("every shape rule exists for an operator that is in a case", () => {
  expect(Object.keys(operators).sort()).toEqual(
    [...Object.keys(mistakes), "input", "constant", "stopGradient", "cast"].sort(),
  );
});

test("an error carries the path of the modules around it, outermost first", () => {
  const error = new ShapeError("add: [2] and [3] do not broadcast").within("in_layers").within("input_blocks");
  expect(error.message).toBe("add: [2] and [3] do not broadcast; at input_blocks.in_layers");
  expect(error).toMatchObject({ code: "shape", name: "ShapeError", path: ["input_blocks", "in_layers"] });
});

test("an array whose data does not fill its shape is refused", () => {
  expect(() => constant(float32([2, 3], [1, 2]))).toThrow("array: shape [2,3] holds 6 elements but 2 came");
});

describe("stack refuses", () => {
  const refused: readonly Mistake[] = [
    [() => stack([f32(2, 3), f32(3, 2)]), "stack: takes tensors of one shape but got [2, 3] and [3, 2]"],
    [() => stack([]), "stack: takes tensors of one shape but got none"],
    [() => stack([f32(2), f32(2)], 2), "stack: axis 2 is outside [2] with one more axis"],
    [() => stack([f32(2), f32(2)], -3), "stack: axis -3 is outside [2] with one more axis"],
  ];
  test.each(refused.map(([make, message]) => ({ make, message })))("$message", ({ make, message }) => {
    expect(make).toThrow(new ShapeError(message));
  });
});
