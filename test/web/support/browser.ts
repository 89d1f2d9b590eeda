import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIPv6 } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, type ConsoleMessage, chromium, type Page } from "playwright-core";
import { root } from "../../support/package.ts";
import type { InPage } from "./page.ts";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Where a Chromium is; undefined where there is none. */
export const chromiumPath: string | undefined = places.find((path) => path !== undefined && existsSync(path));
if (chromiumPath === undefined)
  console.warn(
    "SKIPPED: nothing was tried in a browser, for there is no Chromium. On Debian, `apt-get install chromium` brings one.",
  );

/** Flags by which Debian's chromium has WebGPU without a GPU. */
const softwareGpu = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];

export const launch = ({ gpu = true } = {}): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath!, args: ["--no-sandbox", ...(gpu ? softwareGpu : [])] });

const types: Readonly<Record<string, string>> = {
  "": "text/html",
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".json": "application/json",
};

/** Files of a site: contents by path, or what answers; folders of the disk by the path before theirs, which ends with "/". */
export interface Site {
  readonly files?: Readonly<
    Record<string, string | Uint8Array | ((request: IncomingMessage, response: ServerResponse) => void)>
  >;
  readonly folders?: Readonly<Record<string, string>>;
  /** Headers of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

export const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** A server of static files on this machine. `requests` grows with each path that is asked for. */
export async function serve({ files = {}, folders = {}, headers = {} }: Site) {
  const requests: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const path = new URL(request.url!, "http://localhost").pathname;
    requests.push(path);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream");
    const file = files[path];
    if (typeof file === "function") return file(request, response);
    const folder = Object.keys(folders).find((start) => path.startsWith(start));
    const contents =
      file ?? (folder && (await readFile(join(folders[folder]!, path.slice(folder.length))).catch(() => undefined)));
    if (contents === undefined || contents === "") response.writeHead(404).end();
    else response.end(contents, () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const { port, address } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/`,
    /** The same files from another origin. */
    otherUrl: `http://${isIPv6(address) ? `[${address}]` : address}:${port}/`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The page of the tests, the engine's worker and the sampler's, bundled from the sources. */
async function bundles(page: string): Promise<Record<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: {
      page,
      inner: source("./inner.ts"),
      worker: source("../../../src/runtime/web/worker.ts"),
      "sampler-worker": source("../../../src/web/sampler/sampler-worker.ts"),
    },
    bundle: true,
    format: "esm",
    platform: "browser",
    conditions: ["browser"],
    target: "es2022", // `await using` is newer than the browser may be
    write: false,
    outdir: "/",
    ignoreAnnotations: true, // package.json says which files of dist have side effects
    logOverride: { "empty-import-meta": "silent" },
  });
  return Object.fromEntries(outputFiles.map(({ path, contents }) => [path, contents]));
}

interface TestSite extends Site {
  readonly isolated?: boolean;
  /** Source of the page's program; that of the tests by default. */
  readonly page?: string;
}

/** A site of a page, the engine and the bundled models. */
export async function testSite({ isolated = true, page = source("./page.ts"), ...more }: TestSite = {}) {
  return serve({
    ...more,
    files: {
      "/": '<!doctype html><title>test</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
      ...(await bundles(page)),
      ...more.files,
    },
    folders: {
      "/onnxruntime-web/": join(root, "node_modules", "onnxruntime-web", "dist"),
      "/models/": join(root, "models"),
      ...more.folders,
    },
    headers: { ...(isolated && isolation), ...more.headers },
  });
}

/** A message of the console; of an error, also where it arose. */
export const saidBy = (message: ConsoleMessage): string =>
  message.type() === "error" ? `${message.text()} (${message.location().url})` : message.text();

type Functions = Readonly<Record<string, (...args: never[]) => unknown>>;

/**
 * Opens a page whose program puts functions into `inPage`; the tests' own by default. What it says on its console, and errors that nobody
 * caught, are in `said`.
 */
export async function openPage<F extends Functions = InPage>(browser: Browser, url: string) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(saidBy(message)));
  page.on("pageerror", (error) => said.push(`not caught: ${error.message}`));
  await page.goto(url);
  const ready = () => page.waitForFunction(() => "inPage" in globalThis);
  await ready();
  return { page, said, ready, run: runIn<F>(page), close: () => context.close() };
}

/** The tests' own page. */
export type Opened = Awaited<ReturnType<typeof openPage<InPage>>>;

/** Calls a function of the page by its name; an error there is one here, with its name before its message. */
const runIn =
  <F extends Functions = InPage>(page: Page) =>
  async <K extends keyof F & string>(name: K, ...args: Parameters<F[K]>): Promise<Awaited<ReturnType<F[K]>>> => {
    const { value, error } = await page.evaluate(
      async ([name, args]) => {
        try {
          const { inPage } = globalThis as unknown as { inPage: Record<string, (...args: unknown[]) => unknown> };
          return { value: await inPage[name]!(...args) };
        } catch (error) {
          return { error: `${(error as Error).name}: ${(error as Error).message}` };
        }
      },
      [name, args as readonly unknown[]] as const,
    );
    if (error !== undefined) throw new Error(error);
    return value as Awaited<ReturnType<F[K]>>;
  };
