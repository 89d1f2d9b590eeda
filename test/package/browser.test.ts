import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { collect, ddim, loadModel, sample, saveModel } from "guidestar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleForBrowser } from "../support/bundle.ts";
import { checkBuilt, subpaths } from "../support/package.ts";
import { tinyModel } from "../support/tiny-model.ts";

let folder: string;
beforeAll(async () => {
  checkBuilt();
  folder = await mkdtemp(join(tmpdir(), "guidestar-bundle-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("bundled for a browser", () => {
  test.each(subpaths.filter((path) => path !== "guidestar/node"))("%s imports nothing that is Node's", async (path) => {
    const { missing, code, files } = await bundleForBrowser(`export * from "${path}"`);
    expect(missing).toEqual([]);
    expect(code.contents.length).toBeGreaterThan(5_000);
    // `import * as z` keeps zod's messages in sixty languages out, 300 KB; `import { z }` does not.
    expect(files.filter((file) => file.includes("zod/v4/locales/")).length).toBeLessThan(2);
  });

  test("what is Node's would be found", async () => {
    const { missing } = await bundleForBrowser('export * from "guidestar/node"');
    for (const name of ["node:fs", "node:worker_threads", "sharp"])
      expect(missing.some((line) => line.endsWith(` -> ${name}`))).toBe(true);
  });

  test("the root samples on an engine that the program brings, as in Node", async () => {
    const { code } = await bundleForBrowser('export { collect, ddim, modelFromFiles, sample } from "guidestar"');
    const bundle = join(folder, "bundle.mjs");
    await writeFile(bundle, code.contents);
    const model = join(folder, "model");
    await saveModel(model, tinyModel());
    const script = fileURLToPath(new URL("./support/sample-in-bundle.ts", import.meta.url));
    const args = ["--import", "tsx", script, pathToFileURL(bundle).href, model];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const options = { labels: [1], seeds: [7], sampler: ddim({ steps: 4 }) };
    const expected = await collect(sample(await loadModel(model), options));
    const drawn: number[] = JSON.parse(stdout);
    expect(drawn).toHaveLength(expected.data.length);
    expect(Math.max(...drawn.map((value, i) => Math.abs(value - expected.data[i]!)))).toBeLessThan(1e-5);
  });
});
