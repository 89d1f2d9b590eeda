import { checkFile, type Model, modelOf, type NetworkRecord, parseRecord, parseWeights } from "../checkpoint/model.ts";
import { modelFromZip, sha256 } from "../checkpoint/model-files.ts";
import { ModelError } from "../errors.ts";
import { bytesOf } from "../formats/bytes.ts";
import { openSafetensors } from "../formats/safetensors.ts";
import { networkRoles } from "../models/family.ts";
import { KeptWeights } from "./kept-weights.ts";

/** How far the fetching of a model is, in bytes of its weights. */
export interface FetchProgress {
  readonly loaded: number;
  /** Undefined where a server does not say how large its files are. */
  readonly total: number | undefined;
}

/** Settings of `loadModel` in a browser. */
export interface FetchOptions {
  /** Called as bytes come. */
  readonly onProgress?: (progress: FetchProgress) => void;
  /** Ends the loading by throwing the signal's reason. */
  readonly signal?: AbortSignal;
  /** Keeps weights in the browser's cache under their hash, and takes them from there; on by default. */
  readonly cache?: boolean;
}

/**
 * Loads a model by its address: that of a model folder, or of a zip of one (`….zip`). Weights are verified by their SHA-256, and kept in the
 * browser's cache (Cache API) under it, so that a model comes once, from whatever address.
 *
 * @param address relative to the page; of another origin where that allows it (CORS)
 * @throws ModelError where a file is missing, cut short or damaged, its server cannot be reached or does not allow the page to read it, or
 *   anything in it does not fit, as `modelFromFiles`
 */
export async function loadModel(address: string | URL, options: FetchOptions = {}): Promise<Model> {
  const { signal } = options;
  const asked = new URL(address, base());
  const source = String(address);
  const loading = progressOf(options);
  if (asked.pathname.endsWith(".zip")) {
    const response = await get(asked, "a zip of a model folder", { signal, cache: "no-cache" });
    loading.expect(sizeOf(response));
    return modelFromZip(await bodyOf(response, asked, loading, signal), source);
  }
  const folder = asked.pathname.endsWith("/model.json") ? new URL(".", asked) : asFolder(asked);
  const place = new URL("model.json", folder);
  const text = await (await get(place, "the model.json of a model folder", { signal, cache: "no-cache" })).text();
  // Servers of single pages give the page where there is no file.
  if (text.trimStart().startsWith("<"))
    throw new ModelError(`${place}: a web page came, but the model.json of a model folder was expected; is it there?`);
  const record = parseRecord(text, String(place));
  const kept = new KeptWeights(options.cache ?? true);
  // All are asked for before one is read, so that the total is known.
  const files = new Map<string, Started>();
  for (const role of networkRoles) {
    const network = record[role];
    if (network)
      files.set(network.file, await startFile(new URL(network.file, folder), network, kept, loading, signal));
  }
  return modelOf(record, source, async (network) => {
    const where = new URL(network.file, folder);
    const bytes = await files.get(network.file)!.bytes;
    return parseWeights(bytesOf(bytes), network, String(where), (tensor) => tensor.read());
  });
}

/** What relative addresses are relative to: the page, or a worker's own file. */
const base = (): string => globalThis.document?.baseURI ?? location.href;

function asFolder(address: URL): URL {
  const folder = new URL(address);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  return folder;
}

/** A file that is on its way, and whose size is known. */
interface Started {
  readonly bytes: Promise<Uint8Array<ArrayBuffer>>;
}

/** A network's file, from the cache or the server, verified. */
async function startFile(
  address: URL,
  network: Pick<NetworkRecord, "sha256">,
  kept: KeptWeights,
  loading: Loading,
  signal: AbortSignal | undefined,
): Promise<Started> {
  const known = await kept.read(network.sha256);
  if (known) {
    loading.expect(known.length);
    loading.add(known.length);
    return { bytes: Promise.resolve(known) };
  }
  const response = await get(address, "the weights that model.json names", { signal });
  loading.expect(sizeOf(response));
  const bytes = bodyOf(response, address, loading, signal).then(async (bytes) => {
    const found = await sha256(bytes);
    // Of a file that was cut short this says more than its hash.
    if (found !== network.sha256) openSafetensors(bytesOf(bytes), String(address));
    checkFile(bytesOf(bytes), found, network, String(address));
    await kept.write(network.sha256, bytes);
    return bytes;
  });
  bytes.catch(() => undefined); // the first error of all files is thrown; others of them must not be reported as unhandled
  return { bytes };
}

interface Loading {
  expect(size: number | undefined): void;
  add(size: number): void;
}

function progressOf({ onProgress }: FetchOptions): Loading {
  let [loaded, total]: [number, number | undefined] = [0, 0];
  return {
    expect(size) {
      total = total === undefined || size === undefined ? undefined : total + size;
    },
    add(size) {
      loaded += size;
      onProgress?.({ loaded, total });
    },
  };
}

/** Bytes of a body; a packed one is larger than its length says. */
function sizeOf({ headers }: Response): number | undefined {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? undefined : Number(length);
}

interface Asked {
  readonly signal: AbortSignal | undefined;
  readonly cache?: RequestCache;
}

async function get(address: URL, expected: string, { signal, cache = "default" }: Asked): Promise<Response> {
  const response = await fetch(address, { cache, ...(signal && { signal }) }).catch((cause) => {
    signal?.throwIfAborted();
    const reason =
      address.origin === location.origin
        ? "its server cannot be reached"
        : `its server cannot be reached, or does not allow pages of ${location.origin} to read it, which it does by the header Access-Control-Allow-Origin (CORS)`;
    throw new ModelError(`${address}: cannot be fetched: ${reason}`, { cause });
  });
  if (!response.ok)
    throw new ModelError(
      `${address}: the server answered ${response.status} ${response.statusText}`.trimEnd() +
        `, but ${expected} was expected`,
    );
  return response;
}

/** All bytes of a body, which add to the progress as they come. */
async function bodyOf(
  response: Response,
  address: URL,
  loading: Loading,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = response.body!.getReader();
  const next = () =>
    reader.read().catch((cause) => {
      signal?.throwIfAborted();
      throw new ModelError(`${address}: the connection ended after ${length} bytes; load the model again`, { cause });
    });
  for (let { done, value } = await next(); !done; { done, value } = await next()) {
    parts.push(value!);
    length += value!.length;
    loading.add(value!.length);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
