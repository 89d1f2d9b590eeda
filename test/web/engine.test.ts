import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { guidanceSettings } from "../../src/guidance/guidances.ts";
import { toUint8 } from "../../src/public/formats.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { tinyRun } from "../training/support/tiny.ts";
import { chromiumPath, launch, type Opened, openPage, testSite } from "./support/browser.ts";
import { guidanceCases, lossesOf, runsOf, unetRun } from "./support/runs.ts";

describe.skipIf(chromiumPath === undefined)("in Chromium as in Node", () => {
  let browser: Browser;
  let backend: Backend;
  let model: Model;
  let site: Awaited<ReturnType<typeof testSite>>;
  let opened: Opened;
  beforeAll(async () => {
    [browser, backend, model, site] = await Promise.all([
      launch(),
      openBackend({ threads: 1 }),
      loadModel("digits"),
      testSite(),
    ]);
    opened = await openPage(browser, site.url);
    await opened.run("load", "/models/digits/");
    await opened.run("open", { threads: 2 });
  });
  afterAll(async () => {
    await browser?.close();
    await backend?.[Symbol.asyncDispose]();
    await site?.[Symbol.asyncDispose]();
  });

  test("the page is isolated, so WebAssembly has threads", async () => {
    expect(await opened.run("isolated")).toBe(true);
    expect(await opened.run("open", { threads: 2 })).toEqual({ threads: 2, device: "cpu" });
  });

  test("each setting of guidance is in a case", () => {
    const tried = new Set(Object.values(guidanceCases).flatMap((guidance) => Object.keys(guidance)));
    expect(Object.keys(guidanceSettings).filter((name) => !tried.has(name))).toEqual([]);
  });

  test("every sampler and guidance draws the same digit, within one grey level", { timeout: 300_000 }, async () => {
    for (const { name, run, weak } of runsOf(model)) {
      const options = { ...run, backend, ...(weak && { weakModel: model }) };
      const expected = toUint8(await collect(sample(model, options))).flatMap(({ data }) => [...data]);
      const drawn = await opened.run("draw", run, weak);
      expect(drawn).toHaveLength(28 * 28);
      expect(Math.max(...expected) - Math.min(...expected), name).toBeGreaterThan(50);
      const apart = drawn.map((value, i) => Math.abs(value - expected[i]!));
      expect(Math.max(...apart), name).toBeLessThanOrEqual(1);
    }
  });

  test("ten training steps have the same losses to 1e-4", async () => {
    for (const [name, make] of [
      ["unetLosses", unetRun],
      ["tinyLosses", tinyRun],
    ] as const) {
      const expected = await lossesOf(make(backend, 10));
      const losses = await opened.run(name, 10);
      expect(losses).toHaveLength(10);
      for (const [i, loss] of losses.entries())
        expect(Math.abs(loss - expected[i]!) / Math.abs(expected[i]!), `${name}, step ${i + 1}`).toBeLessThan(1e-4);
    }
  });

  test("all of it runs in a worker of the page too, and then the page's own thread stays free", async () => {
    const { run } = runsOf(model)[0]!;
    const drawn = await opened.run("draw", run);
    const { value, longest } = await opened.run("inWorker", [
      ["open", { threads: 1 }],
      ["load", "/models/digits/"],
      ["tinyLosses", 3],
      ["draw", run],
    ]);
    expect(value).toEqual(drawn);
    // Here tracing and compiling are the worker's, so a task this long would be work that should not be the page's.
    expect(longest).toBeLessThan(500);
  });

  test("memory that runs out is an error of ours, and the next backend works", async () => {
    await opened.run("open", { threads: 1 });
    await expect(opened.run("memory")).rejects.toThrow(/^RuntimeFailure: the engine \(wasm\) failed: memory ran out/);
    await opened.run("open", { threads: 1 });
    expect(await opened.run("tinyLosses", 3)).toHaveLength(3);
  });

  test("WebGPU trains as the CPU does, with its state on the card", async () => {
    expect(await opened.run("open", { device: "webgpu" })).toMatchObject({ device: "webgpu" });
    const expected = await lossesOf(tinyRun(backend, 3));
    const losses = await opened.run("tinyLosses", 3);
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-4);
    await opened.run("close");
  });

  test("nobody heard of errors that were not thrown", () => {
    expect(opened.said).toEqual([]);
  });

  test("a page that is not isolated draws the same, with one thread", async () => {
    await using plain = await testSite({ isolated: false });
    const { run, close } = await openPage(browser, plain.url);
    expect(await run("isolated")).toBe(false);
    expect(await run("open", { threads: 2 })).toEqual({ threads: 1, device: "cpu" });
    const losses = await run("tinyLosses", 3);
    const expected = await lossesOf(tinyRun(backend, 3));
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-4);
    await close();
  });

  test("engine's files, a worker or a card that are missing are named", async () => {
    await using bare = await testSite({ folders: { "/onnxruntime-web/": "/nowhere" } });
    const { run, close } = await openPage(browser, bare.url);
    await expect(run("open", {})).rejects.toThrow(
      /^RuntimeFailure: .*its files could not be loaded \(http.*\/onnxruntime-web\/ort\.wasm\.min\.mjs: .*wasmPaths/,
    );
    await expect(run("open", { worker: "/none.js" })).rejects.toThrow(
      /^RuntimeFailure: the engine's worker could not be loaded/,
    );
    await close();
    const without = await launch({ gpu: false });
    try {
      const { run } = await openPage(without, site.url);
      await expect(run("open", { device: "webgpu" })).rejects.toThrow(
        /^RuntimeFailure: the engine found no graphics card .* take the device "wasm"/,
      );
    } finally {
      await without.close();
    }
  });
});
