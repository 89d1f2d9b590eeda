import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { serveFolder } from "../../src/cli/page/serve.ts";
import { readSpec } from "../../src/cli/sample/spec.ts";
import { guidestar, temporaryFolder } from "../cli/world.ts";
import { checkPageBuilt } from "../support/package.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { chromiumPath, isolation, launch, serve } from "./support/browser.ts";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const folder = temporaryFolder();
const site = (): string => join(folder.path, "site");

beforeAll(async () => {
  checkPageBuilt();
  await saveModel(join(folder.path, "tiny"), tinyModel());
  const { code, messages } = await guidestar(["page", join(folder.path, "tiny"), "--out", site(), "--title", "Shapes"]);
  expect([code, messages]).toEqual([0, expect.stringMatching(/site: \d+ files, 14\.\d MB/)]);
});

describe("guidestar page", () => {
  test("writes a site whose page is at most 60 KB compressed, beside engine and model", async () => {
    const { files, ...record } = JSON.parse(await readFile(join(site(), "page.json"), "utf8"));
    expect(record).toEqual({ title: "Shapes", name: join(folder.path, "tiny"), model: "model/" });
    const there = (await readdir(site(), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const weights = ["denoiser.safetensors", "classifier.safetensors"];
    expect(files.length + weights.length + 1).toBe(there.length);
    // Workers and engine draw; all other code is the page.
    const shell = files.filter(
      (path: string) => !/worker|^onnxruntime-web|^model/.test(path) || /gif|isolation/.test(path),
    );
    const sizes = await Promise.all(
      shell.map(async (path: string) => gzipSync(await readFile(join(site(), path))).length),
    );
    expect(sizes.length).toBeGreaterThan(4);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(60_000);
    expect(await readFile(join(site(), "index.html"), "utf8")).not.toMatch(/(src|href)="\//);
  });

  test("writes over a page, but not among other files, and refuses what cannot draw", async () => {
    const model = join(folder.path, "tiny");
    const [record, old] = [join(site(), "page.json"), join(site(), "assets", "page-old.js")];
    const { files, ...page } = JSON.parse(await readFile(record, "utf8"));
    await writeFile(record, JSON.stringify({ ...page, files: [...files, "assets/page-old.js", "../tiny/model.json"] }));
    await writeFile(old, "");
    expect((await guidestar(["page", model, "--out", site(), "--title", "Shapes"])).code).toBe(0);
    expect([existsSync(old), existsSync(join(model, "model.json"))]).toEqual([false, true]);
    const other = await guidestar(["page", model, "--out", model]);
    expect([other.code, other.messages]).toEqual([2, expect.stringMatching(/holds other files \(.*model\.json/)]);
    const { denoiser: _, ...classifier } = tinyModel();
    await saveModel(join(folder.path, "judge"), classifier);
    const judge = await guidestar(["page", join(folder.path, "judge"), "--out", join(folder.path, "new")]);
    expect([judge.code, judge.messages]).toEqual([3, expect.stringContaining("has no denoiser")]);
  });

  test("--serve serves the folder, and nothing outside of it, until it is interrupted", async () => {
    let status: readonly unknown[] = [];
    const served = await guidestar(
      ["page", join(folder.path, "tiny"), "--out", site(), "--title", "Shapes", "--serve", "--port", "0"],
      {
        onMessage: async (text, interrupt) => {
          if (text.startsWith("Ctrl-C")) interrupt();
        },
      },
    );
    expect([served.code, served.out]).toEqual([0, expect.stringMatching(/^http:\/\/localhost:\d+\/\n$/)]);
    await using server = await serveFolder(site(), 0);
    const get = async (path: string) => (await fetch(`${server.url}${path}`)).status;
    status = [
      await get(""),
      await get("page.json"),
      await get("..%2ftiny%2fmodel.json"),
      await get("%00"),
      await get("none"),
    ];
    expect(status).toEqual([200, 200, 404, 404, 404]);
    await expect(serveFolder(site(), Number(new URL(server.url).port))).rejects.toThrow(
      /another program listens there/,
    );
  });
});

describe.skipIf(chromiumPath === undefined)("the page in Chromium", () => {
  let browser: Browser;
  let server: Awaited<ReturnType<typeof serveFolder>>;
  beforeAll(async () => {
    [browser, server] = await Promise.all([launch({ gpu: false }), serveFolder(site(), 0)]);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  /** A page that has drawn for the first time. */
  async function open(address = "", options: BrowserContextOptions = {}, url = server.url) {
    const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options });
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    await page.goto(url + address);
    await drawn(page);
    return { page, errors, [Symbol.asyncDispose]: () => context.close() };
  }
  const history = (page: Page) => page.getByRole("region", { name: "history" }).getByRole("button");
  /** Waits until so many drawings are done. */
  const drawn = (page: Page, count = 1) =>
    page.waitForFunction(
      (count) => document.querySelectorAll("section ul button").length === count && !document.querySelector("progress"),
      count,
      { timeout: 60_000 },
    );
  /** Long tasks of the page, in ms, while it draws another class; nothing else is asked of it meanwhile. */
  const tasksOfDrawing = (page: Page, name: string): Promise<number[]> =>
    page.evaluate(async (name) => {
      const tasks: number[] = [];
      const observer = new PerformanceObserver((list) =>
        tasks.push(...list.getEntries().map(({ duration }) => duration)),
      );
      observer.observe({ entryTypes: ["longtask"] });
      const drawings = () => document.querySelectorAll("section ul button").length;
      const before = drawings();
      [...document.querySelectorAll("label")].find(({ textContent }) => textContent.trim() === name)!.click();
      while (drawings() === before) await new Promise((resolve) => setTimeout(resolve, 50));
      observer.disconnect();
      return tasks;
    }, name);
  const copied = async (page: Page, button: string): Promise<string> => {
    await page.getByRole("button", { name: button }).click();
    await page.getByText(/ copied$/).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  async function saved(page: Page, button: string): Promise<string> {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: button }).click(),
    ]);
    const path = join(folder.path, "saved", download.suggestedFilename());
    await mkdir(join(folder.path, "saved"), { recursive: true });
    await download.saveAs(path);
    return path;
  }
  const few = "#count=2&seed=4&steps=3";

  test("draws what its controls say, saves and copies it, and its own thread stays free", async () => {
    await using opened = await open(few);
    const { page, errors } = opened;
    await expect.poll(() => page.title()).toBe("Shapes");
    // Its own work would show in each drawing; what a busy machine puts between does not.
    const long: number[] = [];
    for (const name of ["square", "star", "star"]) long.push((await tasksOfDrawing(page, name)).length);
    expect(Math.min(...long)).toBe(0);
    await drawn(page, 4);
    await page.getByText("classifier", { exact: true }).click();
    await drawn(page, 5);
    expect(
      await page.getByRole("img").evaluateAll((all) => all.map((each) => each.getAttribute("aria-label"))),
    ).toEqual(["square, seed 4", "square, seed 5"]);
    expect(await copied(page, "Copy command")).toMatch(
      /^guidestar sample --model \S+tiny --class square --count 2 --seed 4 --sampler dpm\+\+2m --steps 3 --cfg-scale 1 --classifier-scale 1 --out picture\.png$/,
    );
    expect(await copied(page, "Copy code")).toContain('labels: ["square"],');
    const link = new URL(await copied(page, "Copy link"));
    expect(Object.fromEntries(new URLSearchParams(link.hash.slice(1)))).toMatchObject({ class: "square", seed: "4" });

    const png = await saved(page, "Save PNG");
    expect(png).toMatch(/tiny-square-4\.png$/);
    expect(await readSpec(png)).toMatchObject({
      labels: [1, 1],
      seeds: [4, 5],
      guidance: { cfgScale: 1, classifierScale: 1 },
    });
    const gif = await readFile(await saved(page, "Save GIF"));
    expect(gif.toString("latin1", 0, 6)).toBe("GIF89a");
    // Three steps, each with its delay.
    expect(gif.toString("latin1").split("\x21\xf9\x04").length - 1).toBe(3);

    expect(errors).toEqual([]);

    // The same picture gives its settings back, and so does its link.
    await using other = await open("#count=1&steps=2");
    await other.page.locator("input[type=file]").setInputFiles(png);
    await drawn(other.page, 2);
    await other.page.getByText("settings of tiny-square-4.png").waitFor();
    expect(new URL(other.page.url()).hash).toBe(link.hash);
    await other.page.goBack();
    await drawn(other.page, 3);
    expect(await other.page.getByLabel("count", { exact: true }).inputValue()).toBe("1");
    await other.page.locator("input[type=file]").setInputFiles(axe);
    await other.page.getByRole("alert").getByText("not a PNG file").waitFor();
  });

  test("nine pictures are there before anything is loaded, of the page's own model alone", async () => {
    // The models never come.
    const never = () => undefined;
    await using slow = await serve({
      folders: { "/": site() },
      files: {
        "/": await readFile(join(site(), "index.html")),
        "/model/model.json": never,
        "/other/model.json": never,
      },
      headers: isolation,
    });
    const context = await browser.newContext({ serviceWorkers: "block" });
    const page = await context.newPage();
    await page.goto(slow.url);
    const sheet = page.getByRole("img", { name: "nine pictures that this model drew before" });
    await sheet.waitFor();
    await expect.poll(() => sheet.evaluate((image) => image.clientWidth)).toBe(18 * 24);
    await page.getByText("loading the model").waitFor();
    await page.goto(`${slow.url}?model=other/`);
    await page.getByText("loading the model").waitFor();
    expect(await page.getByRole("img").count()).toBe(0);
    await context.close();
  });

  test("is used by keyboard alone, and Esc stops a drawing", async () => {
    await using opened = await open(few);
    const { page } = opened;
    const focus = async (wanted: string) => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press("Tab");
        const now = await page.evaluate(() => {
          const { activeElement: at } = document;
          return (
            at?.closest("label")?.textContent?.trim() ||
            at?.getAttribute("aria-label") ||
            at?.id ||
            at?.textContent?.trim()
          );
        });
        if (now === wanted) return;
      }
      throw new Error(`no "${wanted}" by Tab`);
    };
    await focus("star");
    await page.keyboard.press("Space");
    await drawn(page, 2);
    await focus("steps");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type("20");
    await page.keyboard.press("Enter");
    await page.getByText(/^step \d+\/20$/).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText(/^stopped/).waitFor();
    expect(await history(page).count()).toBe(2);
    expect(await page.getByRole("img").first().getAttribute("aria-label")).toBe("star, seed 4");
  });

  test.each(["light", "dark"] as const)("has nothing that axe finds, %s, and fits 320 pixels", async (colorScheme) => {
    await using opened = await open(few, {
      colorScheme,
      viewport: { width: 320, height: 640 },
      reducedMotion: "reduce",
    });
    const { page } = opened;
    await page.addScriptTag({ path: axe });
    const found = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
      };
      const { violations } = await axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("; ")}`);
    });
    expect(found).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
  });

  test("gets threads where its host sends no headers, and works when the host is gone", async () => {
    const plain = await serve({
      folders: { "/": site() },
      files: { "/": await readFile(join(site(), "index.html")) },
    });
    await using opened = await open(few, {}, plain.url);
    const { page } = opened;
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(true);
    await plain[Symbol.asyncDispose]();
    await page.reload();
    await drawn(page);
    expect(await page.getByRole("img").count()).toBe(2);
  });

  test("draws without isolation too, with one thread", async () => {
    const plain = await serve({ folders: { "/": site() }, files: { "/": await readFile(join(site(), "index.html")) } });
    await using opened = await open(few, { serviceWorkers: "block" }, plain.url);
    await opened.page.getByText("on this machine, 1 thread").waitFor();
    await plain[Symbol.asyncDispose]();
  });

  test.each([
    ["?model=none/", /none\/model\.json: the server answered 404/],
    ["?model=newer/", /a newer version of guidestar may have written it/],
    ["?model=cut/", /is it truncated\?/],
    ["?model=http://[::1]:9/model/", /does not allow pages of http:.* \(CORS\)/],
  ])("%s is refused in words that say what to do", async (address, message) => {
    const model = (name: string) => join(site(), "model", name);
    const record = await readFile(model("model.json"), "utf8");
    for (const name of ["newer", "cut"]) await mkdir(join(site(), name), { recursive: true });
    await writeFile(join(site(), "newer", "model.json"), record.replace("guidestar-model-2", "guidestar-model-9"));
    await writeFile(join(site(), "cut", "model.json"), record);
    for (const file of ["denoiser.safetensors", "classifier.safetensors"])
      await writeFile(join(site(), "cut", file), (await readFile(model(file))).subarray(0, -1000));
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(server.url + address);
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(message);
    expect(await alert.textContent()).toMatch(/Write it again, and upload all of it.*Try again/);
    await context.close();
  });

  test("an address that cannot be drawn is said, and the usual run drawn", async () => {
    await using opened = await open("#class=horse&count=1");
    await opened.page
      .getByRole("alert")
      .getByText('has no class "horse"; its classes are circle, square, star')
      .waitFor();
    expect(await opened.page.getByRole("img").count()).toBe(3);
  });
});
