import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodeImage } from "guidestar";
import { expect, test } from "vitest";

/** Runs an example as a user does; gives what it printed. */
async function run(name: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", path, ...args]);
  return stdout;
}

const minutes = 60_000;

test("01-gradient finds the weights that made the data", { timeout: 2 * minutes }, async () => {
  expect(await run("01-gradient.ts")).toContain("w = 2.000, -1.000, 0.500");
});

test("02-points draws points on the half-moons of their classes", { timeout: 4 * minutes }, async () => {
  const [, hits, count] = /(\d+) of (\d+) points/.exec(await run("02-points.ts"))!;
  expect(Number(hits) / Number(count)).toBeGreaterThan(0.9);
});

/** Runs an example that draws the plane; gives what it printed, once its picture is there and holds more than a few colours. */
async function draw(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "guidestar-"));
  try {
    const path = join(folder, "plane.png");
    const printed = await run(name, path);
    const { data, width } = await decodeImage(await readFile(path));
    expect(width).toBeGreaterThan(1000);
    expect(new Set(data).size).toBeGreaterThan(50);
    return printed;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The numbers that an expression finds in each line where it matches. */
const numbersIn = (printed: string, expression: RegExp): number[] =>
  printed.split("\n").flatMap((line) => expression.exec(line)?.slice(1).map(Number) ?? []);

test("04-forward: the score is the slope of the log density", { timeout: 2 * minutes }, async () => {
  const [worst] = numbersIn(await draw("04-forward.ts"), /differ by at most (\S+)/);
  expect(worst).toBeLessThan(1e-4);
});

test("05-classifier-guidance: a classifier brings points to their class, and further", {
  timeout: 2 * minutes,
}, async () => {
  const printed = await draw("05-classifier-guidance.ts");
  const [none, once, more] = numbersIn(printed, /: (\d+) of 300 in their class/) as [number, number, number];
  expect(Math.abs(none - 150)).toBeLessThan(40);
  expect(once).toBeGreaterThan(290);
  expect(more).toBe(300);
  const sure = numbersIn(printed, /mean log p\(y \| x\) (\S+)/) as [number, number, number];
  expect(sure[0]).toBeLessThan(sure[1]);
  expect(sure[1]).toBeLessThan(sure[2]);
});

test("06-guidance: large scales lose what an interval and autoguidance keep", { timeout: 2 * minutes }, async () => {
  const found = numbersIn(await draw("06-guidance.ts"), /: (\S+) from the half-moon, covers (\d+)%/);
  const [plain, plainCover, , freeCover, interval, intervalCover, auto, autoCover] = found as Eight;
  expect(plainCover).toBe(100);
  expect(freeCover).toBeLessThan(intervalCover);
  expect(intervalCover).toBeLessThan(autoCover);
  expect(interval).toBeLessThan(plain);
  expect(auto).toBeLessThan(0.6 * plain);
});
type Eight = [number, number, number, number, number, number, number, number];

test("07-samplers: second order comes nearer to where the equation leads", { timeout: 2 * minutes }, async () => {
  const printed = await draw("07-samplers.ts");
  const [euler, heun, multistep] = numbersIn(printed, /: (\S+) from where the equation leads/) as [
    number,
    number,
    number,
  ];
  expect(heun).toBeLessThan(euler);
  expect(multistep).toBeLessThan(euler / 3);
  for (const likely of numbersIn(printed, /: (\d+) of 200 where/)) expect(likely).toBeGreaterThan(160);
});

test("08-parametrizations: v, flow and EDM each learn the half-moons", { timeout: 2 * minutes }, async () => {
  const away = numbersIn(await draw("08-parametrizations.ts"), /: (\S+) from the half-moons/);
  expect(away).toHaveLength(3);
  for (const distance of away) expect(distance).toBeLessThan(0.1);
});

test("09-score-network: annealing finds how much is where", { timeout: 2 * minutes }, async () => {
  const printed = await draw("09-score-network.ts");
  const [single, annealed, corrected] = numbersIn(printed, /: (\d+)% on the upper/) as [number, number, number];
  expect(single).toBeGreaterThan(30);
  expect(Math.abs(annealed - 20)).toBeLessThan(8); // four standard deviations
  expect(Math.abs(corrected - 20)).toBeLessThan(8);
  for (const away of numbersIn(printed, /, (\S+) from the nearest/)) expect(away).toBeLessThan(0.07);
});

test("10-energy: exp(-energy) is the density", { timeout: 2 * minutes }, async () => {
  const printed = await draw("10-energy.ts");
  for (const share of numbersIn(printed, /energy explains (\S+)% of/)) expect(share).toBeGreaterThan(95);
  expect(numbersIn(printed, /are (\S+) from the half-moons/)[0]).toBeLessThan(0.07);
});

test("03-digits writes a picture of two digits", { timeout: 2 * minutes }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "guidestar-"));
  try {
    expect(await run("03-digits.ts", join(folder, "digits.png"))).toContain("25/25");
    const { width, height } = await decodeImage(await readFile(join(folder, "digits.png")));
    expect(width).toBeGreaterThanOrEqual(2 * 28);
    expect(height).toBeGreaterThanOrEqual(28);
  } finally {
    await rm(folder, { recursive: true });
  }
});
