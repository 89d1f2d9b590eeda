import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build, transform } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, root } from "../support/package.ts";
import { chromiumPath, isolation, launch, type Site, saidBy, serve } from "../web/support/browser.ts";

/** The first example of `guidestar/web`, which prints as it says. */
async function example(): Promise<{ code: string; promised: string[]; program: string }> {
  const source = await readFile(join(root, "src", "public", "web.ts"), "utf8");
  const comment = source.slice(0, source.indexOf("*/")).replace(/^ \* ?/gm, "");
  const program = /^```ts\n(.*?)^```$/ms.exec(comment)?.[1] ?? "";
  const promised = [...program.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text!);
  const { code } = await transform(program, { loader: "ts", target: "es2022", format: "esm", tsconfigRaw: {} });
  return { code, promised, program };
}

/** What a page of a site prints until it has printed so many lines. */
async function printed(page: Page, url: string, lines: number): Promise<string[]> {
  const said: string[] = [];
  const done = new Promise<void>((resolve) => {
    page.on("console", (message) => said.push(saidBy(message)) >= lines && resolve());
    page.on("pageerror", (error) => {
      said.push(`not caught: ${error.message}`);
      resolve();
    });
  });
  await page.goto(url);
  await done;
  return said;
}

test("the README has its lines", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const { program } = await example();
  const [, lines] = /^(await using .*?)^console/ms.exec(program)!;
  expect(readme).toContain(lines);
});

const modules = join(root, "node_modules");
const folders = { "/models/": join(root, "models"), "/onnxruntime-web/": join(modules, "onnxruntime-web", "dist") };

describe.skipIf(chromiumPath === undefined)("the first example of guidestar/web prints what it says", () => {
  let browser: Browser;
  let code: string;
  let promised: string[];
  beforeAll(async () => {
    checkBuilt();
    ({ code, promised } = await example());
    browser = await launch({ gpu: false });
  });
  afterAll(() => browser?.close());

  const run = async (site: Site): Promise<void> => {
    await using server = await serve({ ...site, headers: isolation, folders: { ...folders, ...site.folders } });
    const page = await browser.newPage();
    expect(promised).toHaveLength(1);
    expect(await printed(page, server.url, promised.length)).toEqual(promised);
    await page.close();
  };

  test("bundled by esbuild, the worker's code beside the page's", async () => {
    // The one thing that esbuild does not see: `new Worker(new URL("./worker.js", import.meta.url))` is in the bundle as it stands.
    const { outputFiles } = await build({
      stdin: { contents: code, resolveDir: root },
      bundle: true,
      format: "esm",
      target: "es2022",
      minify: true,
      write: false,
      tsconfigRaw: {},
    });
    const worker = await build({
      entryPoints: ["guidestar/web/worker"],
      absWorkingDir: root,
      bundle: true,
      format: "esm",
      write: false,
      tsconfigRaw: {},
    });
    const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/app.js"></script>';
    await run({
      files: { "/": html, "/app.js": outputFiles[0]!.contents, "/worker.js": worker.outputFiles[0]!.contents },
    });
  });

  test("as plain files, with an import map", async () => {
    const imports = {
      guidestar: "/guidestar/public/everywhere.js",
      "guidestar/web": "/guidestar/public/web.js",
      zod: "/modules/zod/index.js",
      fflate: "/modules/fflate/esm/browser.js",
    };
    const html = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">${code}</script>`;
    await run({
      files: { "/": html },
      folders: { "/guidestar/": join(root, "dist"), "/modules/": modules },
    });
  });
});
