import { describe, expect, test } from "vitest";
import { inInterval, intervalGuidance } from "../../src/guidance/kinds/interval.ts";
import { factorAt, type ScaleSchedule, scaleAt, scheduleGuidance } from "../../src/guidance/kinds/schedule.ts";
import { problemOf } from "../../src/setting.ts";

const factors = (schedule: ScaleSchedule, steps: number): number[] =>
  Array.from({ length: steps }, (_, i) => factorAt(schedule, i + 1, steps));

describe("schedules of the scale", () => {
  test("are 1 on average, and grow from 0 to 2", () => {
    for (const schedule of ["linear", "cosine"] as const) {
      const all = factors(schedule, 9);
      expect(all.reduce((a, b) => a + b, 0) / 9).toBeCloseTo(1, 12);
      expect([all[0], all[8]]).toEqual([0, 2]);
      expect(all.every((factor, i) => i === 0 || factor > all[i - 1]!)).toBe(true);
    }
    expect(factors("linear", 5)).toEqual([0, 0.5, 1, 1.5, 2]);
    expect(factors("cosine", 4)[1]).toBeCloseTo(0.5, 12);
    expect(factors("constant", 3)).toEqual([1, 1, 1]);
  });

  test("a list of a factor for each step is taken as it is; another is a curve through its factors", () => {
    expect(factors([0, 3, 1, 7], 4)).toEqual([0, 3, 1, 7]);
    expect(factors([0, 2, 0], 5)).toEqual([0, 1, 2, 1, 0]);
    expect(factors([1.5], 3)).toEqual([1.5, 1.5, 1.5]);
    expect(factors([1, 4], 1)).toEqual([4]);
  });

  test("factors count from where guidance is off", () => {
    expect([scaleAt(3, 1, 0), scaleAt(3, 1, 1), scaleAt(3, 1, 2)]).toEqual([1, 3, 5]);
    expect([scaleAt(3, 0, 0), scaleAt(3, 0, 0.5)]).toEqual([0, 1.5]);
  });

  test("lists without numbers are refused", () => {
    const { guidanceSchedule } = scheduleGuidance.settings;
    expect(problemOf(guidanceSchedule, [])).toMatch(/at least one factor/);
    expect(problemOf(guidanceSchedule, [1, Number.NaN])).toMatch(/finite/);
    expect(problemOf(guidanceSchedule, [1, 2])).toBeUndefined();
  });
});

describe("an interval of noise levels", () => {
  test("holds its upper end, and not its lower one", () => {
    expect([0.2, 0.21, 2, 2.1].map((ratio) => inInterval([0.2, 2], ratio))).toEqual([false, true, true, false]);
    expect(inInterval([0, Infinity], 1e6)).toBe(true);
  });
  test.each([
    [2, 1],
    [1, 1],
    [-1, 2],
    [Number.NaN, 2],
  ] as const)("%f to %f is refused", (low, high) => {
    expect(problemOf(intervalGuidance.settings.guidanceInterval, [low, high])).toMatch(/0 <= low < high/);
  });
});
