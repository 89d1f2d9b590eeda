import { expect, test } from "vitest";
import { guidance } from "../../bench/claims/guidance.ts";
import { chart, type Measured, meanOf, section, verdict } from "../../bench/claims/report.ts";
import { samplers } from "../../bench/claims/samplers.ts";

const measured = (series: string, x: number, fids: readonly number[]): Measured[] =>
  fids.map((fid, seed) => ({ series, x, seed, settings: {}, measures: { fid, accuracy: null } }));
const results = [...measured("a", 1, [1, 2, 3]), ...measured("a", 2, [1.1, 1.9, 3]), ...measured("a", 4, [11, 12, 13])];
const from = { series: "a", x: 1 };
const statement = { text: "It falls", measure: "fid", from } as const;

test("a mean has the standard error of its seeds", () => {
  expect(meanOf([1, 2, 3])).toEqual({ value: 2, error: Math.sqrt(1 / 3) });
  expect(meanOf([1])).toBeUndefined();
});

test("a claim holds, or not, where the difference is twice its error", () => {
  const of = (x: number, goes: "up" | "down") => verdict(results, { ...statement, to: { series: "a", x }, goes });
  expect(of(4, "up")).toBe("- It falls: **holds**. fid goes from 2.000 ± 0.577 to 12.000 ± 0.577.");
  expect(of(4, "down")).toContain("**does not hold**");
  expect(of(2, "down")).toContain("**not decided, within the errors**");
  expect(of(9, "down")).toContain("not measured");
});

test("a section has a row for each cell, and its chart a panel for each measure", () => {
  const claim = { ...guidance, measures: ["fid", "accuracy"] };
  const real = { fid: { value: 0.5, error: 0.25 }, accuracy: undefined };
  const rows = section(claim, results, [], real).split("\n");
  expect(rows).toContain("| real images |  | 0.500 ± 0.250 |  |");
  expect(rows).toContain("| a | 4 | 12.000 ± 0.577 |  |");
  const svg = chart(claim, results, real, "three seeds");
  expect(svg).toContain("real images");
  expect(svg).toContain("scale of guidance");
});

test("what samplers are compared at are cells that are drawn", () => {
  const kinds = ["ddpm", "ddim", "heun", "dpm++2m"];
  const cells = kinds.flatMap((series) =>
    [5, 10, 11, 25, 50].map((x) => ({ series, x, model: () => Promise.reject(), settings: {} })),
  );
  const statements = samplers.statements(cells);
  expect(statements).toHaveLength(7);
  expect(statements[0]).toMatchObject({ from: { series: "ddpm", x: 5 }, to: { series: "ddim", x: 5 }, goes: "down" });
});
