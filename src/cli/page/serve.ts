import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, sep } from "node:path";
import { RuntimeFailure } from "../../errors.ts";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** By these a page is cross-origin isolated, which WebAssembly needs for threads. */
const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** A server of a folder. */
export interface FolderServer extends AsyncDisposable {
  readonly url: string;
  /** Resolves when the signal is raised. */
  until(signal: AbortSignal): Promise<void>;
}

/**
 * Serves a folder to this machine alone.
 *
 * @param port 0 for any that is free
 * @throws RuntimeFailure where the port cannot be had
 */
export async function serveFolder(folder: string, port: number): Promise<FolderServer> {
  const server = createServer(async ({ url = "/", method }, response) => {
    const path = pathOf(url);
    const file = path === undefined ? undefined : join(folder, path.endsWith(sep) ? join(path, "index.html") : path);
    const contents =
      file && (method === "GET" || method === "HEAD") ? await readFile(file).catch(() => undefined) : undefined;
    if (!contents) {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
      return;
    }
    response.writeHead(200, {
      ...isolation,
      "content-type": types[extname(file!)] ?? "application/octet-stream",
      "content-length": contents.length,
      "cache-control": "no-cache",
    });
    response.end(method === "HEAD" ? undefined : contents);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", ({ code, message }: NodeJS.ErrnoException) =>
      reject(
        new RuntimeFailure(
          `--port ${port}: ${code === "EADDRINUSE" ? "another program listens there" : message}; give another one, or 0 for any that is free`,
        ),
      ),
    );
    server.listen(port, "localhost", resolve);
  });
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    until: (signal) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The path below the folder that an address names; undefined where it would lead out of it. */
function pathOf(url: string): string | undefined {
  try {
    const path = normalize(decodeURIComponent(url.replace(/[?#].*/s, "")));
    return path.includes("\0") || path.split(sep).includes("..") ? undefined : path;
  } catch {
    return undefined;
  }
}
