import { existsSync, readdirSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Model } from "../../checkpoint/model.ts";
import { filesOfModel } from "../../checkpoint/model-files.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError, RuntimeFailure, UsageError } from "../../errors.ts";
import { writeFiles } from "../../files/atomic.ts";
import { grid } from "../../images/grid.ts";
import { toUint8 } from "../../images/planes.ts";
import { encodePng } from "../../images/png.ts";
import { denoiserSignature } from "../../models/families.ts";
import { openBackend } from "../../runtime/node.ts";
import { collect, sample } from "../../sampling/sample.ts";
import type { Context } from "../terminal/command.ts";
import { checkOutputFolder } from "../terminal/output.ts";
import type { PageValues } from "./command.ts";
import { serveFolder } from "./serve.ts";

/** What the page reads first, and its service worker. */
const recordName = "page.json";

/** The engine's files for WebAssembly; see `openBackend` of `guidestar/web`. */
const engineFiles = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

type File = readonly [path: string, contents: Uint8Array];

/** `guidestar page`. */
export async function runPage(values: PageValues, { terminal, signal }: Context, name: string): Promise<void> {
  const { out, serve, port, storage, title = basename(resolve(name)) } = values;
  checkReplaceable(out);
  await checkOutputFolder("--out", out);
  const model = await loadModel(name);
  if (!model.denoiser) throw new ModelError(`${name}: has no denoiser, so nothing can be drawn with it; train one`);
  if (denoiserSignature(model.denoiser).lowRes)
    throw new ModelError(`${name}: is an upsampler, which enlarges pictures of another model; give that one`);
  const weights = Object.entries(await filesOfModel(model, { storage }));
  const files: File[] = [
    ...(await prebuilt()),
    ...(await engine()),
    ...weights.map(([file, contents]) => [`model/${file}`, bytesOf(contents)] as const),
    ["sheet.png", await firstSheet(model, signal)],
  ];
  const record = {
    title,
    name,
    model: "model/",
    // Weights are kept under their hash by whoever loads them.
    files: files.map(([path]) => path).filter((path) => !path.endsWith(".safetensors")),
  };
  files.push([recordName, bytesOf(`${JSON.stringify(record, null, 2)}\n`)]);
  const before = await filesOfPage(out);
  await writeFiles(
    files.map(([path, contents]) => [join(out, path), contents]),
    signal,
  );
  // Files of an earlier version have other names.
  for (const path of before.filter((path) => !record.files.includes(path))) await rm(join(out, path), { force: true });
  const size = files.reduce((sum, [, { length }]) => sum + length, 0);
  terminal.message(`${out}: ${files.length} files, ${(size / 1e6).toFixed(1)} MB\n`);
  if (!serve) {
    terminal.out(`${join(out, "index.html")}\n`);
    return;
  }
  await using server = await serveFolder(out, port);
  terminal.out(`${server.url}\n`);
  terminal.message("Ctrl-C ends it\n");
  await server.until(signal);
}

/** Throws UsageError where files are in the folder that no page left: they would be mixed with it. */
function checkReplaceable(out: string): void {
  if (!existsSync(out) || existsSync(join(out, recordName))) return;
  let names: string[];
  try {
    names = readdirSync(out);
  } catch {
    return; // no folder, which is said elsewhere
  }
  if (names.length > 0)
    throw new UsageError(
      `--out: ${out} holds other files (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}), and no page of guidestar; give a new folder`,
    );
}

/** Files that the folder's page is made of, below it; none where there is no page. */
async function filesOfPage(out: string): Promise<string[]> {
  try {
    const { files } = JSON.parse(await readFile(join(out, recordName), "utf8"));
    return files.filter((path: unknown) => typeof path === "string" && /^assets\/[\w.-]+$/.test(path));
  } catch {
    return [];
  }
}

/** Nine pictures, without space between them, which the page shows until it has drawn some itself. */
async function firstSheet(model: Model, signal: AbortSignal): Promise<Uint8Array> {
  await using backend = await openBackend();
  const x = await collect(sample(model, { count: 9, backend, signal }));
  return encodePng(grid(toUint8(x), { columns: 3, padding: 0 }));
}

/** The page as it was built with the package. */
async function prebuilt(): Promise<File[]> {
  const dist = fileURLToPath(new URL("../../../dist", import.meta.url));
  const folder = join(dist, "page");
  if (!existsSync(join(folder, "index.html")))
    throw new RuntimeFailure(
      `${folder}: the page is not built; in a clone run \`npm run build\`, else install the package again`,
    );
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
  return [
    ...(await Promise.all(
      names.map(async (name) => [name.replaceAll("\\", "/"), await readFile(join(folder, name))] as const),
    )),
    ["isolation-worker.js", await readFile(join(dist, "web", "isolation-worker.js"))],
  ];
}

async function engine(): Promise<File[]> {
  const folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
  return Promise.all(
    engineFiles.map(async (file) => [`onnxruntime-web/${file}`, await readFile(join(folder, file))] as const),
  );
}

const bytesOf = (contents: string | Uint8Array): Uint8Array =>
  typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
