import { afterAll, beforeAll, describe, test } from "vitest";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { averagePool2d, conv2d, upsampleNearest2d } from "../../src/tensor/functions.ts";
import { allCases, define, normal } from "../support/cases.ts";
import { expectClose, interpret, run } from "../support/runs.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

describe("ONNX Runtime agrees with the interpreter on values and on first and second derivatives", () => {
  test.each(allCases)("$name", async (kase) => {
    expectClose(await run(kase, backend), interpret(kase));
  });
});

describe("so it does where convolutions are wide enough for blocks of channels, and weights for a file of their own", () => {
  const wide = define(
    "wide",
    {
      x: normal(2, 16, 6, 4),
      first: normal(64, 16, 3, 3),
      bias: normal(64),
      down: normal(32, 64, 3, 3),
      narrow: normal(16, 32, 1, 1),
    },
    ({ x, first, bias, down, narrow }) => {
      const h = conv2d(x, first.mul(0.1), bias, { padding: 1 });
      const half = conv2d(h.mul(h.sigmoid()), down.mul(0.05), undefined, { stride: 2, padding: 1 });
      return conv2d(upsampleNearest2d(half, 2).tanh(), narrow, undefined).add(
        upsampleNearest2d(averagePool2d(x, 2), 2),
      );
    },
  );
  const expected = interpret(wide);

  test("with weights that are given at each run", async () => {
    expectClose(await run(wide, backend), expected);
  });
  test("with weights that are fixed", async () => {
    expectClose(await run(wide, backend, ["first", "bias", "down", "narrow"]), expected);
  });
});
