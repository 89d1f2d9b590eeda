import { expect, test } from "vitest";
import { countFlops } from "../../src/tensor/cost.ts";
import { conv2d } from "../../src/tensor/functions.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, input } from "../../src/tensor/trace.ts";

test("a matrix product costs two operations per multiply-add, its gradients twice as much", () => {
  const [a, b] = [input("a", f32(5, 2, 3)), input("b", f32(5, 3, 4))];
  const product = a.matmul(b);
  expect(countFlops([product])).toBe(2 * 5 * 2 * 3 * 4);
  const { da, db } = { da: gradients(product.sum(), { a }).a, db: gradients(product.sum(), { b }).b };
  expect(countFlops([product, da, db])).toBe(3 * countFlops([product]));
});

test("a convolution costs output pixels x kernel x channels, and each of its gradients the same", () => {
  const [x, weight] = [input("x", f32(2, 3, 8, 6)), input("w", f32(4, 3, 3, 3))];
  const y = conv2d(x, weight, undefined, { stride: 2, padding: 1 });
  const forward = 2 * (2 * 4 * 4 * 3) * (3 * 3 * 3);
  expect(countFlops([y])).toBe(forward);
  const g = gradients(y.sum(), { x, weight });
  expect(countFlops([g.x])).toBe(forward);
  expect(countFlops([y, g.x, g.weight])).toBe(3 * forward);
});
