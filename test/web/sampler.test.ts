import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { readSpec } from "../../src/cli/sample/spec.ts";
import { encodePng, grid, toUint8 } from "../../src/public/formats.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { chromiumPath, launch, openPage, testSite } from "./support/browser.ts";
import type { SamplerInPage } from "./support/sampler-page.ts";

const page = fileURLToPath(new URL("./support/sampler-page.ts", import.meta.url));
const ddim = { kind: "ddim", steps: 4 };

describe.skipIf(chromiumPath === undefined)("in Chromium", () => {
  let browser: Browser;
  let site: Awaited<ReturnType<typeof testSite>>;
  let opened: Awaited<ReturnType<typeof openPage<SamplerInPage>>>;
  beforeAll(async () => {
    [browser, site] = await Promise.all([launch({ gpu: false }), testSite({ page })]);
    opened = await openPage<SamplerInPage>(browser, site.url);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.[Symbol.asyncDispose]();
  });

  test("a sampler opens and draws as in Node, and no task of the page takes 50 ms", async () => {
    const { model, device, loaded, longest } = await opened.run("open", { model: "/models/digits/", name: "digits" });
    expect(model).toMatchObject({
      name: "digits",
      imageShape: [1, 28, 28],
      guidance: ["classifier-free", "classifier"],
    });
    expect(model.samplers.map(({ kind }) => kind)).toContain("dpm++2m");
    expect(model.samplers.map(({ kind }) => kind)).not.toContain("consistency");
    expect([device, loaded]).toEqual(["cpu", 3049132 + 1414980]);
    const run = { labels: ["3", "7"], seeds: [7, 8], sampler: ddim, guidance: { cfgScale: 2 } };
    const drawn = await opened.run("draw", run);
    expect(drawn.steps).toEqual(["1/4", "2/4", "3/4", "4/4"]);
    await using backend = await openBackend({ threads: 1 });
    const expected = toUint8(await collect(sample(await loadModel("digits"), { ...run, backend }))).flatMap(
      ({ data }) => [...data],
    );
    const apart = drawn.pictures.map((value, i) => Math.abs(value - expected[i]!));
    expect(Math.max(...apart)).toBeLessThanOrEqual(1);
    // Work of the page's own would be there each time; a busy machine makes any task long now and then.
    const again = async (): Promise<number> => {
      const { longest } = await opened.run("open", { model: "/models/digits/", name: "digits" });
      return Math.max(longest, (await opened.run("draw", run)).longest);
    };
    expect(Math.max(longest, drawn.longest) && (await again()) && (await again())).toBe(0);
  });

  test("signals and loops that are left end a drawing, and the next one draws", async () => {
    const run = { seeds: [1], sampler: { kind: "ddim", steps: 200 } };
    const { name, took } = await opened.run("cancel", run, 2, "signal");
    expect(name).toBe("AbortError");
    expect(took).toBeLessThan(200);
    expect((await opened.run("cancel", run, 2, "break")).name).toBe("left");
    expect((await opened.run("draw", { seeds: [1], sampler: ddim })).steps).toHaveLength(4);
  });

  test("texts are runs, and runs are texts, a command line and a program", async () => {
    const texts = {
      class: "3,7",
      count: "4",
      seed: "5",
      sampler: "ddim",
      steps: "4",
      "cfg-scale": "3",
      "guidance-interval": "0.2:5",
    };
    const spec = await opened.run("read", texts);
    expect(spec).toMatchObject({ labels: [3, 7, 3, 7], seeds: [5, 6, 7, 8], model: { name: "digits" } });
    const written = await opened.run("write", spec);
    expect(written.texts).toEqual(texts);
    expect(written.command).toBe(
      "guidestar sample --model digits --class 3,7 --count 4 --seed 5 --sampler ddim --steps 4 --cfg-scale 3 --guidance-interval 0.2:5 --out picture.png",
    );
    expect(written.code).toContain('guidance: {"cfgScale":3,"guidanceInterval":[0.2,5]},');
    await expect(opened.run("read", { "cfg-scale": "much" })).rejects.toThrow(
      /^UsageError: cfg-scale must be a finite number/,
    );
    await expect(opened.run("read", { colour: "red" })).rejects.toThrow(/^UsageError: "colour" is no setting/);
  });

  test("a PNG carries the record, as those of the command line do", async () => {
    const folder = await mkdtemp(join(tmpdir(), "guidestar-sampler-"));
    try {
      const { spec, read, png } = await opened.run("png", { labels: ["3"], seeds: [7], sampler: ddim });
      expect(read).toEqual(spec);
      const path = join(folder, "sheet.png");
      await writeFile(path, Buffer.from(png, "base64"));
      expect(await readSpec(path)).toEqual(spec);
      await expect(opened.run("readPng", [1, 2, 3])).rejects.toThrow(/^DataError: holiday\.png: cannot be read/);
      const weak = { ...spec, weakModel: { name: "runs/early", denoiser: "" } };
      const made = encodePng(grid([{ width: 1, height: 1, channels: 1, data: new Uint8Array(1) }]), {
        text: { guidestar: JSON.stringify(weak) },
      });
      await expect(opened.run("readPng", [...made])).rejects.toThrow(/^DataError: holiday\.png: made with runs\/early/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("what is missing or unknown is an error of its class", async () => {
    await expect(opened.run("draw", { labels: ["x"], seeds: [1] })).rejects.toThrow(/^UsageError: .* has no class "x"/);
    await expect(opened.run("open", { model: "/none/" })).rejects.toThrow(/^ModelError: .*none\/model\.json: .* 404/);
    await expect(opened.run("open", { model: "/models/digits/", worker: "/none.js" })).rejects.toThrow(
      /^RuntimeFailure: the sampler's worker could not be loaded/,
    );
  });

  describe("<guidestar-sampler>", () => {
    const put = (attributes: string, event: "picture" | "error" = "picture") =>
      opened.run(
        "put",
        `<guidestar-sampler model="/models/digits/" threads="1" ${attributes}>...</guidestar-sampler>`,
        event,
      );
    const quick = 'sampler="ddim" steps="3"';

    test("draws what its attributes say, and says so in words", async () => {
      const { spec, count, steps, canvas, described, message } = await put(
        `class="card 3" scale="2" seed="7" ${quick}`,
      );
      expect(spec).toMatchObject({
        labels: [3],
        seeds: [7],
        guidance: { cfgScale: 2, classifierScale: 0 },
        sampler: ddim.kind && { steps: 3 },
      });
      expect([count, steps, canvas, described, message]).toEqual([1, 3, "28x28", "drawn: 3; seed 7", ""]);
    });

    test("properties that change together draw once more", async () => {
      expect(await opened.run("set", { seed: 9, guidance: "classifier", scale: 3 })).toMatchObject({
        seeds: [9],
        guidance: { cfgScale: 1, classifierScale: 3 },
      });
      expect(await opened.run("set", { label: "7" })).toMatchObject({ labels: [7], seeds: [9] });
    });

    test("with manual it draws when it is told to, and can be cancelled", async () => {
      expect(await opened.run("cancelByHand", 200)).toEqual({ ended: "AbortError", said: [] });
      expect(await opened.run("drawByHand", 4)).toMatchObject({ labels: [7], sampler: { steps: 4 } });
    });

    test.each([
      ['class="cat"', /^UsageError: .* has no class "cat"; its classes are 0, 1, /],
      ['class="3" seed="-1"', /^UsageError: seed must be a whole number from 0/],
      [
        'class="3" guidance="strong"',
        /^UsageError: guidance must be classifier-free, classifier or none but is "strong"/,
      ],
    ])("%s is refused in words", async (attributes, message) => {
      const { error, message: shown, canvas } = await put(attributes, "error");
      expect(error).toMatch(message);
      expect([error!.endsWith(shown!), canvas]).toEqual([true, undefined]);
    });
  });

  test("nobody heard of errors that were not thrown", () => {
    expect(opened.said.filter((line) => !/404|none\.js/.test(line))).toEqual([]);
  });
});
