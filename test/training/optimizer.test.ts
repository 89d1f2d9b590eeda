import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { normals } from "../../src/random.ts";
import { f32, input } from "../../src/tensor/trace.ts";
import { ema, emaWeight } from "../../src/training/averages.ts";
import { learningRateAt } from "../../src/training/learning-rate.ts";
import { adamw, adamwCoefficients, clipScale, globalNorm } from "../../src/training/step/adamw.ts";
import { evaluate } from "../support/interpreter.ts";

const scalarInput = (name: string) => input(name, f32());
const scalarValue = (value: number) => ({ shape: [], data: [value] });

describe("AdamW", () => {
  const specs = Object.fromEntries(["parameter", "gradient", "m", "v"].map((name) => [name, input(name, f32(3))]));
  const { parameter, gradient, m, v } = specs as Record<"parameter" | "gradient" | "m" | "v", (typeof specs)[string]>;
  const coefficients = {
    keep: scalarInput("keep"),
    stepSize: scalarInput("stepSize"),
    epsilon: scalarInput("epsilon"),
  };
  const outputs = adamw(parameter!, gradient!, { m: m!, v: v! }, scalarInput("scale"), coefficients, [0.8, 0.95]);

  test("follows the algorithm of the paper, written out as it stands there", () => {
    const [learningRate, weightDecay, epsilon, beta1, beta2, scale] = [0.02, 0.1, 1e-3, 0.8, 0.95, 0.5];
    let state = { parameter: [0.5, -1, 2], m: [0, 0, 0], v: [0, 0, 0] };
    const expected = structuredClone(state);
    for (let update = 1; update <= 5; update++) {
      const g = Array.from(normals(1, update, 3));
      const numbers = adamwCoefficients(update, learningRate, { betas: [beta1, beta2], epsilon, weightDecay });
      const inputs = {
        ...Object.fromEntries(
          Object.entries({ ...state, gradient: g }).map(([name, data]) => [name, { shape: [3], data }]),
        ),
        ...Object.fromEntries(Object.entries({ ...numbers, scale }).map(([name, value]) => [name, scalarValue(value)])),
      };
      const results = evaluate(outputs, inputs);
      state = { parameter: [...results.parameter!.data], m: [...results.m!.data], v: [...results.v!.data] };

      for (let i = 0; i < 3; i++) {
        const clipped = scale * g[i]!;
        expected.m[i] = beta1 * expected.m[i]! + (1 - beta1) * clipped;
        expected.v[i] = beta2 * expected.v[i]! + (1 - beta2) * clipped ** 2;
        const mHat = expected.m[i]! / (1 - beta1 ** update);
        const vHat = expected.v[i]! / (1 - beta2 ** update);
        expected.parameter[i]! -= learningRate * weightDecay * expected.parameter[i]!;
        expected.parameter[i]! -= (learningRate * mHat) / (Math.sqrt(vHat) + epsilon);
      }
      for (const name of ["parameter", "m", "v"] as const)
        for (let i = 0; i < 3; i++) expect(state[name][i]).toBeCloseTo(expected[name][i]!, 6);
    }
  });
});

describe("clipping", () => {
  const gradients = { a: input("a", f32(2, 2)), b: input("b", f32(1)), c: input("c", f32()) };
  const norm = globalNorm(Object.values(gradients));
  const values = {
    a: { shape: [2, 2], data: [1, -2, 2, 4] },
    b: { shape: [1], data: [10] },
    c: { shape: [], data: [10] },
  };

  test("measures all gradients together and shortens them to the limit", () => {
    const results = evaluate({ norm, short: clipScale(norm, 3), long: clipScale(norm, 30) }, values);
    expect(results.norm!.data[0]).toBeCloseTo(15, 12);
    expect(results.short!.data[0]).toBeCloseTo(3 / 15, 6);
    expect(results.long!.data[0]).toBe(1);
  });
});

describe("running average", () => {
  test("moves by the weight towards the parameter", () => {
    const average = ema(input("average", f32(2)), input("parameter", f32(2)), scalarInput("weight"));
    const inputs = {
      average: { shape: [2], data: [1, 2] },
      parameter: { shape: [2], data: [3, 0] },
      weight: scalarValue(0.25),
    };
    expect([...evaluate({ average }, inputs).average!.data]).toEqual([1.5, 1.5]);
  });

  test("warms up: the first weights are forgotten soon, the rate ends at the one asked for", () => {
    expect(emaWeight(1, { emaRate: 0.999 })).toBeCloseTo(1 - 2 / 11, 12);
    expect(emaWeight(90, { emaRate: 0.999 })).toBeCloseTo(1 - 91 / 100, 12);
    expect(emaWeight(1e6, { emaRate: 0.999 })).toBeCloseTo(0.001, 12);
    expect(emaWeight(1, { emaRate: 0.999, emaWarmUp: false })).toBeCloseTo(0.001, 12);
  });
});

describe("learning rate", () => {
  test("rises linearly, then falls as asked", () => {
    const at = (update: number, decay: "none" | "linear" | "cosine") =>
      learningRateAt(update, 110, { learningRate: 2, warmUpSteps: 10, decay, finalLearningRate: 1 });
    for (const decay of ["none", "linear", "cosine"] as const) {
      expect(at(1, decay)).toBeCloseTo(0.2, 12);
      expect(at(10, decay)).toBe(2);
    }
    expect(at(110, "none")).toBe(2);
    expect([at(35, "linear"), at(60, "linear"), at(110, "linear")]).toEqual([1.75, 1.5, 1]);
    expect(at(35, "cosine")).toBeCloseTo(1.5 + Math.SQRT1_2 / 2, 12);
    expect(at(60, "cosine")).toBeCloseTo(1.5, 12);
    expect(at(110, "cosine")).toBe(1);
  });

  test("refuses a warm-up longer than the run", () => {
    expect(() => learningRateAt(1, 5, { warmUpSteps: 6 })).toThrow(UsageError);
  });
});
