import { describe, expect, test } from "vitest";
import { ddpmProcess, edmProcess, flowProcess, noiseOf, processKind } from "../../src/diffusion/process-config.ts";
import { UsageError } from "../../src/errors.ts";

describe("processes with the usual defaults", () => {
  const rest = { steps: 1000, variance: "fixed-small", rescaleTimesteps: false };
  test.each([
    ["ddpm", ddpmProcess(), { ...rest, schedule: "cosine", prediction: "eps" }],
    ["flow", flowProcess(), { ...rest, schedule: "flow", prediction: "velocity" }],
    ["edm", edmProcess(), { ...rest, schedule: "edm", prediction: "edm" }],
  ] as const)("%s", (kind, process, expected) => {
    expect(process).toEqual(expected);
    expect(processKind(process)).toBe(kind);
  });

  test("what is given counts", () => {
    expect(ddpmProcess({ schedule: "linear", steps: 100, prediction: "v", zeroTerminalSnr: true })).toEqual({
      ...{ schedule: "linear", steps: 100, prediction: "v", variance: "fixed-small" },
      ...{ rescaleTimesteps: false, zeroTerminalSnr: true },
    });
    expect(edmProcess({ sigmaData: 0.4, sigmaRange: [0.1, 10] })).toMatchObject({
      sigmaData: 0.4,
      sigmaRange: [0.1, 10],
    });
  });

  test("and is refused where it contradicts the kind", () => {
    expect(() => ddpmProcess({ zeroTerminalSnr: true })).toThrow(UsageError);
    expect(() => ddpmProcess({ prediction: "edm" })).toThrow(
      /cosine schedule needs a prediction of eps, x0, previous, v/,
    );
    expect(() => flowProcess({ variance: "learned-range" })).toThrow(/variances are learned for steps of a chain/);
    expect(() => edmProcess({ sigmaData: -1 })).toThrow(/sigmaData must be a positive number but is -1/);
  });

  test("their noise alone is what a classifier knows", () => {
    expect(noiseOf(edmProcess({ sigmaData: 0.4 }))).toEqual({
      ...{ schedule: "edm", steps: 1000, rescaleTimesteps: false, sigmaData: 0.4 },
    });
  });
});
