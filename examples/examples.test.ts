import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { decodeImage } from "../src/index.ts";

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
