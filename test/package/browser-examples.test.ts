import { execFile } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build as bundle } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guidestar, temporaryFolder } from "../cli/world.ts";
import { checkBuilt, checkPageBuilt, root } from "../support/package.ts";
import { chromiumPath, isolation, launch, type Site, serve } from "../web/support/browser.ts";

const examples = join(root, "examples", "browser");
const folder = temporaryFolder();
const folders = {
  "/models/": join(root, "models"),
  "/onnxruntime-web/": join(root, "node_modules", "onnxruntime-web", "dist"),
};

beforeAll(() => {
  checkBuilt();
  checkPageBuilt();
});

/** What a server prints that renders the page of a class. */
async function rendered(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(examples, "server", "render.js"), "7"]);
  return stdout;
}

test("a page is rendered where there is no window", async () => {
  expect(await rendered()).toContain('<guidestar-sampler model="/models/digits/" label="7" seed="7">');
});

describe.skipIf(chromiumPath === undefined)("in Chromium", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch({ gpu: false });
  });
  afterAll(() => browser?.close());

  /** Opens a page of a site, and waits for something in it. */
  async function see(
    site: Site,
    path: string,
    wait: (page: Awaited<ReturnType<Browser["newPage"]>>) => Promise<unknown>,
  ) {
    await using server = await serve({ headers: isolation, ...site });
    const page = await browser.newPage();
    const seen = wait(page);
    await page.goto(`${server.url}${path}`);
    await seen;
    await page.close();
  }

  test("plain: one file in a folder that `guidestar page` wrote", async () => {
    const site = join(folder.path, "site");
    expect((await guidestar(["page", "digits", "--out", site])).code).toBe(0);
    await copyFile(join(examples, "plain", "index.html"), join(site, "three.html"));
    await see({ folders: { "/": site } }, "three.html", async (page) => {
      await page.waitForEvent("console", (message) => message.text() === "drawn with seed 7");
      const next = page.waitForEvent("console", (message) => message.text() === "drawn with seed 8");
      await page.getByRole("button", { name: "Another" }).click();
      await next;
    });
  });

  test("vite: built, its workers are found", async () => {
    const { build } = await import("vite");
    const outDir = join(folder.path, "vite");
    await build({
      root: join(examples, "vite"),
      logLevel: "error",
      build: { outDir, target: "es2022" },
      resolve: { alias: [{ find: /^guidestar\/(\w+)$/, replacement: join(root, "dist", "public", "$1.js") }] },
    });
    await see(
      { folders: { ...folders, "/": outDir }, files: { "/": await readFile(join(outDir, "index.html")) } },
      "",
      (page) => page.waitForEvent("console", (message) => message.text() === "drawn in 10 steps"),
    );
  });

  test("server: what was rendered comes alive by a bundle of esbuild", async () => {
    const { outputFiles } = await bundle({
      entryPoints: {
        client: "guidestar/element",
        "sampler-worker": "guidestar/web/sampler-worker",
        worker: "guidestar/web/worker",
      },
      absWorkingDir: root,
      bundle: true,
      format: "esm",
      outdir: "/",
      write: false,
      tsconfigRaw: {},
      logOverride: { "empty-import-meta": "silent" },
    });
    const files = Object.fromEntries(outputFiles.map(({ path, contents }) => [path, contents]));
    await see({ folders, files: { ...files, "/": await rendered() } }, "", (page) =>
      page.waitForFunction(() =>
        document
          .querySelector("guidestar-sampler")
          ?.shadowRoot?.querySelector("canvas")
          ?.getAttribute("aria-label")
          ?.includes("7; seed 7"),
      ),
    );
  });
});
