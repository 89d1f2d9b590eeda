import { expect, test } from "vitest";
import { recipes } from "../../bench/quality/recipes.ts";
import { chart, minutesTo, type Point, type Result, table } from "../../bench/quality/report.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";

const point = (minutes: number, fid: number): Point => ({
  ...{ minutes, fid, images: 1000 * minutes, steps: 10 * minutes, accuracy: 0.5, coverage: 0.25, precision: 0.75 },
});
const result = (recipe: string, seed: number, fids: readonly number[]): Result => ({
  ...{ recipe, seed, settings: {}, parameters: 2e6, guided: null },
  points: fids.map((fid, i) => point(i + 1, fid)),
});

test("the minutes to a distance are between the points of a curve", () => {
  const curve = [point(1, 30), point(2, 20), point(4, 10)];
  expect(minutesTo(curve, 40)).toBe(1);
  expect(minutesTo(curve, 20)).toBe(2);
  expect(minutesTo(curve, 15)).toBe(3);
  expect(minutesTo(curve, 5)).toBeUndefined();
});

test("recipes are compared by the mean of their seeds, and those that never get there say so", () => {
  const results = [
    result("baseline", 0, [40, 22]),
    result("baseline", 1, [40, 18]),
    result("quick", 0, [30, 10]),
    result("slow", 0, [50, 30]),
  ];
  const rows = table(results, { fid: 1, accuracy: 0.99, coverage: 0.8, precision: 0.8 }).split("\n");
  expect(rows[2]).toMatch(/^\| real images .* \| 1\.00 \| 99\.0% \| 80\.0%/);
  expect(rows[3]).toMatch(
    /^\| baseline \| 2\.00 M \| 20 \| 2000 \| 20\.00 \(22\.00, 18\.00\) .* 1\.00 \(2\.00 min\) \|$/,
  );
  expect(rows[4]).toMatch(/^\| quick .* 0\.75 \(1\.50 min\) \|$/);
  expect(rows[5]).toMatch(/^\| slow .* not reached \|$/);
  expect(chart(results, { title: "a", subtitle: "b" })).toContain("images seen");
});

test.each(Object.entries(recipes))("%s is a recipe that can be trained", (_, { options }) => {
  const images = { count: 8, shape: [3, 32, 32] as const, labels: new Int32Array(8), images: new Uint8Array(8 * 3072) };
  const dataset = { classes: ["a", "b"], imageShape: [3, 32, 32] as const, train: images, size: undefined };
  const { training } = denoiserRecipe({ dataset, minutes: 1, ...options });
  expect(training).toMatchObject({ minutes: 1, steps: undefined });
});
