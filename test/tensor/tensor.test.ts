import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32, type Shape, sizeOf } from "../../src/ndarray.ts";
import { concat, oneHot, where } from "../../src/tensor/functions.ts";
import { constant, full, type Tensor } from "../../src/tensor/tensor.ts";
import { i32, input } from "../../src/tensor/trace.ts";
import { evaluate } from "../support/interpreter.ts";

/** 0, 1, 2, ...: every element tells where it came from. */
const counting = (shape: Shape): Tensor =>
  constant(
    float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => i),
    ),
  );

const values = (tensor: Tensor): number[] => [...evaluate({ tensor }).tensor.data];

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
/** A shape, and two that broadcast to it. */
const broadcastable = shapes.chain((shape) => {
  const part = fc
    .tuple(fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }), fc.nat(shape.length))
    .map(([kept, lead]) => shape.map((n, i) => (kept[i] ? n : 1)).slice(lead));
  return fc.record({ shape: fc.constant(shape), a: part, b: part });
});

/** Element of a row-major tensor at an index of a shape that it broadcasts to. */
function at(data: readonly number[], shape: Shape, index: readonly number[]): number {
  const own = index.slice(index.length - shape.length);
  return data[shape.reduce((offset, n, axis) => offset * n + (n === 1 ? 0 : own[axis]!), 0)]!;
}

/** All indices of a shape, in row-major order. */
const indices = (shape: Shape): number[][] =>
  shape.reduce<number[][]>(
    (list, n) => list.flatMap((index) => Array.from({ length: n }, (_, i) => [...index, i])),
    [[]],
  );

describe("broadcasting is numpy's", () => {
  test("of two operands", () => {
    fc.assert(
      fc.property(broadcastable, ({ a, b }) => {
        const [x, y] = [counting(a), counting(b)];
        const sum = x.add(y.mul(100));
        const rank = Math.max(a.length, b.length);
        const padded = [a, b].map((shape) => [...new Array(rank - shape.length).fill(1), ...shape]);
        const expected = padded[0]!.map((n, i) => Math.max(n, padded[1]![i]!));
        expect(sum.shape).toEqual(expected);
        expect(values(sum)).toEqual(
          indices(expected).map((index) => at(values(x), a, index) + 100 * at(values(y), b, index)),
        );
      }),
    );
  });

  test("of expand", () => {
    fc.assert(
      fc.property(broadcastable, ({ shape, a }) => {
        expect(values(counting(a).expand(...shape))).toEqual(
          indices(shape).map((index) => at(values(counting(a)), a, index)),
        );
      }),
    );
  });

  test("of where's three operands", () => {
    fc.assert(
      fc.property(broadcastable, ({ shape, a, b }) => {
        const chosen = where(counting(shape).less(3), counting(a), counting(b));
        expect(chosen.shape).toEqual(shape);
        expect(values(chosen)).toEqual(
          indices(shape).map((index, i) =>
            i < 3 ? at(values(counting(a)), a, index) : at(values(counting(b)), b, index),
          ),
        );
      }),
    );
  });

  test("refused exactly where an axis differs and neither length is 1", () => {
    fc.assert(
      fc.property(shapes, shapes, (a, b) => {
        const fits = [1, 2, 3, 4].every((i) => {
          const [m, n] = [a.at(-i) ?? 1, b.at(-i) ?? 1];
          return m === n || m === 1 || n === 1;
        });
        const add = () => counting(a).add(counting(b));
        fits ? expect(add).not.toThrow() : expect(add).toThrow("do not broadcast");
      }),
    );
  });
});

describe("movement", () => {
  /** A shape and an order of its axes. */
  const permuted = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axes: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
    }),
  );

  test("permute and its inverse give the tensor back", () => {
    fc.assert(
      fc.property(permuted, ({ shape, axes }) => {
        const inverse = axes.map((_, i) => axes.indexOf(i));
        const there = counting(shape).permute(...axes);
        expect(there.shape).toEqual(axes.map((axis) => shape[axis]));
        expect(values(there.permute(...inverse))).toEqual(values(counting(shape)));
      }),
    );
  });

  test("permute moves each element to the permuted index", () => {
    fc.assert(
      fc.property(permuted, ({ shape, axes }) => {
        const moved = counting(shape).permute(...axes);
        const [from, to] = [values(counting(shape)), values(moved)];
        for (const index of indices(shape))
          expect(
            at(
              to,
              moved.shape,
              axes.map((axis) => index[axis]!),
            ),
          ).toBe(at(from, shape, index));
      }),
    );
  });

  test("reshape keeps the elements in order, there and back", () => {
    fc.assert(
      fc.property(shapes, shapes, (shape, other) => {
        const x = counting(shape);
        const flat = x.reshape(-1, ...other.map(() => 1));
        expect(values(flat)).toEqual(values(x));
        expect(flat.reshape(...shape)).toBe(x);
        expect(x.reshape(sizeOf(shape), 1).reshape(-1).shape).toEqual([sizeOf(shape)]);
      }),
    );
  });

  test("split and concat give the tensor back, along every axis", () => {
    fc.assert(
      fc.property(shapes, fc.nat(3), (shape, axis) => {
        fc.pre(axis < shape.length);
        const x = counting(shape);
        const joined = concat(x.split(axis, shape[axis]!), axis);
        expect(joined.shape).toEqual(shape);
        expect(values(joined)).toEqual(values(x));
      }),
    );
  });

  test("pad and the opposite pad give the tensor back; twice flipped is unflipped", () => {
    fc.assert(
      fc.property(shapes, fc.infiniteStream(fc.nat(2)), (shape, amounts) => {
        const draw = () => shape.map(() => amounts.next().value as number);
        const [before, after] = [draw(), draw()];
        const padded = counting(shape).pad(before, after);
        expect(padded.shape).toEqual(shape.map((n, i) => n + before[i]! + after[i]!));
        expect(values(padded).reduce((a, b) => a + b, 0)).toBe(values(counting(shape)).reduce((a, b) => a + b, 0));
        const back = padded.pad(
          before.map((n) => -n),
          after.map((n) => -n),
        );
        expect(values(back)).toEqual(values(counting(shape)));
        const axes = shape.map((_, i) => i);
        expect(values(counting(shape).flip(...axes))).toEqual(values(counting(shape)).reverse());
        expect(
          values(
            counting(shape)
              .flip(...axes)
              .flip(...axes),
          ),
        ).toEqual(values(counting(shape)));
      }),
    );
  });

  test("that changes nothing makes no tensor", () => {
    const x = counting([2, 3]);
    for (const same of [
      x.reshape(2, 3),
      x.permute(0, 1),
      x.expand(2, 3),
      x.slice(1, 0, 3),
      x.pad([0, 0], [0, 0]),
      x.cast("float32"),
      x.add(0),
      x.sub(0),
      x.mul(1),
      x.div(1),
      concat([x], 0),
    ])
      expect(same).toBe(x);
  });
});

describe("reductions", () => {
  const data = [
    [1, 5, 3],
    [4, 2, 6],
  ];
  const x = constant(float32([2, 3], data.flat()));

  test.each([
    ["sum of all", x.sum(), [], [21]],
    ["sum of rows", x.sum(1), [2], [9, 12]],
    ["sum of columns, kept", x.sum(0, true), [1, 3], [5, 7, 9]],
    ["sum by negative axes", x.sum([-1, -2]), [], [21]],
    ["sum over no axes", x.sum([]), [2, 3], data.flat()],
    ["mean of all", x.mean(), [], [3.5]],
    ["mean of columns", x.mean(0), [3], [2.5, 3.5, 4.5]],
    ["max of rows", x.max(-1), [2], [5, 6]],
    ["max of all, kept", x.max(undefined, true), [1, 1], [6]],
  ] as const)("%s", (_name, tensor, shape, expected) => {
    expect(tensor.shape).toEqual(shape);
    const actual = values(tensor);
    expected.forEach((value, i) => void expect(actual[i]).toBeCloseTo(value, 6));
  });
});

test("numbers take the type of the other operand", () => {
  const labels = input("labels", i32(3));
  expect(labels.add(1).dtype).toBe("int32");
  expect(counting([3]).add(1).dtype).toBe("float32");
  expect(labels.less(2).dtype).toBe("bool");
  expect(where(labels.less(2), labels, 0).dtype).toBe("int32");
  expect(where(labels.less(2), 1, 0).dtype).toBe("float32");
  expect(() => labels.less(2).equal(1)).toThrow("a number cannot become bool; cast the tensor first");
});

test("oneHot sets the label's place, and none for a label outside", () => {
  const labels = input("labels", i32(3));
  const { y } = evaluate({ y: oneHot(labels, 3) }, { labels: { shape: [3], data: [2, 0, 3] } });
  expect([...y.data]).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0]);
});

test("full has one number everywhere", () => {
  expect(values(full([2, 2], 2.5))).toEqual([2.5, 2.5, 2.5, 2.5]);
});

test("clip limits both ways", () => {
  expect(values(counting([5]).clip(1, 3))).toEqual([1, 1, 2, 3, 3]);
});
