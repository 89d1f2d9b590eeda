import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, root, subpaths } from "../support/package.ts";
import { runBuilt } from "../support/run-built.ts";

const examples = join(root, "examples", "outside");
let folder: string;
beforeAll(async () => {
  checkBuilt();
  folder = await mkdtemp(join(tmpdir(), "guidestar-outside-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Programs that bring something of their own, and what they print where it works. */
const expected: Readonly<Record<string, (printed: string) => void>> = {
  "own-guidance.ts"(printed) {
    const [without, guided] = numbersIn(printed, /differ by (\S+)/g);
    expect(without).toBeGreaterThan(0.2);
    expect(guided).toBeLessThan(0.01);
  },
  "own-loss.ts"(printed) {
    for (const count of numbersIn(printed, /(\d+)(?: are)? near/g)) expect(Math.abs(count - 250)).toBeLessThan(60);
  },
  "own-network.ts"(printed) {
    const [dark, light] = numbersIn(printed, /(?:dark|light) (-?[\d.]+)/g);
    expect(Math.abs(dark! + 0.5)).toBeLessThan(0.05);
    expect(Math.abs(light! - 0.5)).toBeLessThan(0.05);
  },
  "own-sampler.ts"(printed) {
    const [std] = numbersIn(printed, /deviation (\S+)/g);
    expect(Math.abs(std! - 0.5)).toBeLessThan(0.05);
  },
};

const numbersIn = (text: string, expression: RegExp): number[] =>
  [...text.matchAll(expression)].map(([, number]) => Number(number));

test("each example is here", async () => {
  expect((await readdir(examples)).sort()).toEqual(Object.keys(expected));
});

describe.each(Object.keys(expected))("%s", (name) => {
  test("has at most 40 lines, and imports the package alone, by its public names", async () => {
    const source = await readFile(join(examples, name), "utf8");
    expect(source.trimEnd().split("\n").length).toBeLessThanOrEqual(40);
    const imported = [...source.matchAll(/ from "([^"]+)"/g)].map(([, from]) => from!);
    expect(imported.length).toBeGreaterThan(1);
    expect(imported.filter((from) => !subpaths.includes(from))).toEqual([]);
    expect(source).not.toMatch(/import\(|require/);
  });

  test("works with the built package", async () => {
    const printed = await runBuilt(await readFile(join(examples, name), "utf8"), folder);
    expected[name]!(printed.join("\n"));
  });
});
