import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { learningRateAtProgress } from "../../src/training/learning-rate.ts";
import { pacer } from "../../src/training/pace.ts";
import { type Fall, fallWith, isFlat } from "../../src/training/until.ts";

/** What is kept of losses that were measured every ten seconds. */
const fallsOf = (losses: readonly number[]): readonly Fall[] =>
  losses.reduce<readonly Fall[]>((falls, heldOut, i) => fallWith(falls, { seconds: 10 * (i + 1), heldOut }), []);

describe("a held-out loss", () => {
  test("has stopped to fall where the last third of the run took no more than 1% off", () => {
    // Of 90 s the first two thirds end at 60 s, where the least is 1.
    const falling = [5, 4, 3, 2, 1.5, 1, 1.2];
    expect(isFlat(fallsOf([...falling, 0.995, 0.991]), 90, 1)).toBe(true);
    expect(isFlat(fallsOf([...falling, 0.995, 0.989]), 90, 1)).toBe(false);
    expect(isFlat(fallsOf([...falling, 3, 7]), 90, 1)).toBe(true);
  });

  test("is not judged before a tenth of the longest time, nor with nothing to compare", () => {
    const flat = [1, 1, 1, 1, 1, 1];
    expect(isFlat(fallsOf(flat), 60, 9.9)).toBe(true);
    expect(isFlat(fallsOf(flat), 60, 10.1)).toBe(false);
    expect(isFlat([{ seconds: 50, heldOut: 1 }], 60, 1)).toBe(false);
    expect(isFlat([], 60, 1)).toBe(false);
  });
});

/** Updates of a second each, of which `windUp` is told the number `at`: shares, and seconds in all. */
function follow(minutes: number, at: number, stopAt?: number) {
  let time = 0;
  const clock = () => time;
  let pace = pacer({ minutes, until: "good", clock });
  const shares: number[] = [];
  for (let step = 0; !pace.isOver(step); step++) {
    shares.push(pace.progressOf(step + 1));
    time += 1000;
    pace.note();
    if (step + 1 === at) expect(pace.windUp()).toBe(true);
    if (step + 1 === stopAt) pace = pacer({ minutes, until: "good", clock }, JSON.parse(JSON.stringify(pace.state())));
  }
  return { shares, seconds: time / 1000 };
}

describe("a run until it is good", () => {
  test("takes a fifth of its time more when it is good, and goes on so from a checkpoint", () => {
    const { shares, seconds } = follow(10, 100);
    expect(seconds).toBe(120);
    expect(shares.at(-1)).toBe(1);
    expect(shares[99]).toBeLessThan(0.2);
    expect(shares[100]).toBeCloseTo(5 / 6 + 1 / 6 / 20, 12);
    expect(follow(10, 100, 110).shares).toEqual(shares);
    // Never longer than it may be.
    expect(follow(10, 499).seconds).toBeLessThanOrEqual(600);
  });

  test("keeps its rate until then, and lets it fall to 0", () => {
    const at = (progress: number): number => learningRateAtProgress(1000, progress, { learningRate: 3, decay: "late" });
    expect([0.1, 0.5, 5 / 6].map(at)).toEqual([3, 3, 3]);
    expect(at(11 / 12)).toBeCloseTo(1.5, 12);
    expect(at(1)).toBe(0);
  });

  test("needs an end all the same", () => {
    expect(() => pacer({ steps: 10, until: "good" })).toThrow(UsageError);
  });
});
