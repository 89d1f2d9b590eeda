import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesOfModel, modelFromFiles } from "../../src/checkpoint/model-files.ts";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { checkpointFolder } from "../../src/checkpoint/run-folder.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { root } from "../support/package.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { tinyRun } from "../training/support/tiny.ts";
import { chromiumPath, launch, type Opened, openPage, serve, testSite } from "./support/browser.ts";
import { lossesOf } from "./support/runs.ts";

type Site = Awaited<ReturnType<typeof testSite>>;
const digits = (name: string): Promise<Buffer> => readFile(join(root, "models", "digits", name));

describe.skipIf(chromiumPath === undefined)("in Chromium", () => {
  let browser: Browser;
  let site: Site;
  let opened: Opened;
  let folder: string;
  let backend: Backend;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "guidestar-web-"));
    const [record, denoiser, classifier] = await Promise.all(
      ["model.json", "denoiser.safetensors", "classifier.safetensors"].map(digits),
    );
    const changed = denoiser!.slice();
    changed[changed.length - 9]! ^= 1;
    const model = (name: string, files: Record<string, string | Uint8Array>) =>
      Object.fromEntries(Object.entries(files).map(([file, contents]) => [`/${name}/${file}`, contents]));
    site = await testSite({
      files: {
        ...model("truncated", {
          "model.json": record!,
          "denoiser.safetensors": denoiser!.subarray(0, 100_000),
          "classifier.safetensors": classifier!,
        }),
        ...model("damaged", {
          "model.json": record!,
          "denoiser.safetensors": changed,
          "classifier.safetensors": classifier!,
        }),
        ...model("newer", { "model.json": record!.toString().replace("guidestar-model-2", "guidestar-model-9") }),
        ...model("tiny", await filesOfModel(tinyModel())),
        ...model("half", { "model.json": record! }),
        ...model("page", { "model.json": "<!doctype html><p>Not here" }),
        // The headers promise more than comes.
        "/cut/model.json": record!,
        "/cut/denoiser.safetensors": (_, response) => {
          response.writeHead(200, { "content-length": denoiser!.length });
          response.write(denoiser!.subarray(0, 100_000));
          setTimeout(() => response.destroy(), 50);
        },
        "/cut/classifier.safetensors": classifier!,
      },
    });
    [browser, backend] = await Promise.all([launch(), openBackend({ threads: 1 })]);
    opened = await openPage(browser, site.url);
    await opened.run("open", { threads: 1 });
  });
  afterAll(async () => {
    await browser?.close();
    await backend?.[Symbol.asyncDispose]();
    await site?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  test("a model loads by its address, with its size, and comes once", async () => {
    const { weights, classes } = await loadModel("digits");
    const loaded = await opened.run("load", "/models/digits");
    const size = (await digits("denoiser.safetensors")).length + (await digits("classifier.safetensors")).length;
    expect(loaded.classes).toEqual(classes);
    expect(loaded.progress).toEqual({ loaded: size, total: size });
    expect(loaded.first).toEqual(Array.from(Object.values(weights.denoiser!)[0]!.data.slice(0, 4)));
    const fetched = () =>
      site.requests.filter((path) => path.startsWith("/models/") && path.endsWith("safetensors")).length;
    expect(fetched()).toBe(2);
    expect((await opened.run("load", "/models/digits/model.json")).progress).toEqual({ loaded: size, total: size });
    expect(fetched()).toBe(2);
    await opened.run("forgetWeights");
    await opened.run("load", "/models/digits/");
    expect(fetched()).toBe(4);
    await opened.run("forgetWeights");
  });

  test.each([
    [
      "/none/",
      /none\/model\.json: the server answered 404 Not Found, but the model\.json of a model folder was expected/,
    ],
    ["/page/", /page\/model\.json: a web page came/],
    [
      "/newer/",
      /newer\/model\.json: format: expected "guidestar-model-2"; a newer version of guidestar may have written it/,
    ],
    ["/half/", /half\/denoiser\.safetensors: the server answered 404/],
    ["/truncated/", /truncated\/denoiser\.safetensors: tensor .* is it truncated\?/],
    ["/damaged/", /damaged\/denoiser\.safetensors: its SHA-256 is .* the file is damaged, or of another model/],
    ["/cut/", /cut\/denoiser\.safetensors: the connection ended after \d+ bytes; load the model again/],
  ])("%s is refused, by name", async (address, message) => {
    await expect(opened.run("load", address)).rejects.toThrow(message);
    await expect(opened.run("load", address)).rejects.toThrow(/^ModelError: /);
  });

  test("of another origin, a model loads where that is allowed", async () => {
    const folders = { "/models/": join(root, "models") };
    await using open = await serve({ folders, headers: { "access-control-allow-origin": "*" } });
    await using shut = await serve({ folders });
    expect((await opened.run("load", `${open.url}models/digits/`, false)).classes).toHaveLength(10);
    await expect(opened.run("load", `${shut.url}models/digits/`, false)).rejects.toThrow(
      /^ModelError: .*cannot be fetched: its server cannot be reached, or does not allow pages of http:.*Access-Control-Allow-Origin \(CORS\)/,
    );
  });

  test("a zip from the page loads in Node, and one from Node in the page", async () => {
    await opened.run("load", "/tiny/");
    const model = await modelFromFiles(await filesOfModel(tinyModel()));
    const path = join(folder, "from-page.zip");
    await writeFile(path, Buffer.from(await opened.run("modelAsZip", "float32"), "base64"));
    const { source: _, ...loaded } = await loadModel(path);
    expect(loaded.weights).toEqual(model.weights);
    expect(loaded.classes).toEqual(model.classes);
    const { record, first } = await opened.run("modelOfZip", (await readFile(path)).toString("base64"));
    expect(first).toEqual(Array.from(Object.values(model.weights.denoiser!)[0]!.data.slice(0, 4)));
    expect(record.sampling).toEqual(loaded.sampling);
  });

  test("a closed tab loses what came since the last checkpoint; reopened, training goes on as if it had not been", async () => {
    const whole = await lossesOf(tinyRun(backend, 9));
    const first = await opened.run("trainKept", "run", 9, 5);
    expect(first.filter(({ kind }) => kind === "checkpoint").map(({ step }) => step)).toEqual([2, 4]);
    // The tab is closed in the middle of a step, and opened again.
    const lost = opened.run("trainKept", "run", 9).catch(() => undefined);
    await opened.page.reload();
    await lost;
    await opened.ready();
    const { run } = opened;
    await run("open", { threads: 1 });
    expect(await run("checkpointDatabases")).toEqual(["run"]);
    const [start, ...rest] = await run("trainKept", "run", 9);
    expect(start!.kind).toBe("start");
    expect(start!.step).toBeGreaterThanOrEqual(4);
    const losses = rest.filter(({ kind }) => kind === "step");
    expect(losses.at(-1)!.step).toBe(9);
    for (const { step, loss } of losses) expect(Math.abs(loss! / whole[step - 1]! - 1)).toBeLessThan(1e-4);
    // Two newest and one older.
    expect((await run("keptSteps", "run")).map(({ step }) => step)).toEqual([9, 8, 6]);
  });

  test("a damaged checkpoint is passed over, and said; in Node its file is one of a run", async () => {
    const { run } = opened;
    const kept = join(folder, "kept");
    const file = Buffer.from(await run("keptFile", "run", 9), "base64");
    const store = checkpointFolder(kept);
    await rm(kept, { recursive: true, force: true });
    await store.save(await checkpointOf(file, kept));
    expect((await store.latest())!.step).toBe(9);
    expect(await (await store.latest())!.read()).toMatchObject({ step: 9, config: { batch: 16, seed: 1 } });

    await run("damage", "run", 9);
    const [start] = await run("trainKept", "run", 10, 9);
    expect(start).toMatchObject({ kind: "start", step: 8 });
    expect(start!.skipped).toEqual([expect.stringMatching(/^run, step 9: damaged: its bytes are not those/)]);
    await run("removeCheckpoints", "run");
    expect(await run("checkpointDatabases")).toEqual([]);
  });

  test("the service worker isolates a page whose host sends no headers", async () => {
    const { outputFiles } = await (await import("esbuild")).build({
      entryPoints: [join(root, "src", "web", "isolation-worker.ts")],
      write: false,
    });
    await using plain = await testSite({
      isolated: false,
      files: { "/isolation-worker.js": outputFiles[0]!.contents },
    });
    const { page, ready, run } = await openPage(browser, plain.url);
    expect(await run("isolated")).toBe(false);
    await Promise.all([page.waitForEvent("load"), run("isolatePage").catch(() => undefined)]);
    await ready();
    expect(await run("isolatePage")).toBe(true);
    expect(await run("open", { threads: 2 })).toMatchObject({ threads: 2 });
    expect(await run("tinyLosses", 3)).toHaveLength(3);
    // Where there is no such worker, it says so.
    await using without = await testSite({ isolated: false });
    const other = await openPage(browser, without.url);
    expect(await other.run("isolatePage")).toBe(false);
  });
});

/** A checkpoint of a file's bytes. */
async function checkpointOf(file: Buffer, folder: string) {
  const { decodeCheckpoint } = await import("../../src/checkpoint/training-file.ts");
  const { bytesOf } = await import("../../src/formats/bytes.ts");
  return decodeCheckpoint(bytesOf(new Uint8Array(file)), folder);
}
