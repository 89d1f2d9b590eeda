/**
 * A service worker that adds to each answer the headers by which a page is cross-origin isolated. It imports nothing, so that this one file
 * can be copied beside a page: see isolate.ts. Registered as `isolation-worker.js?keep=LIST.json`, it also keeps the page for when there is no
 * network: the files that LIST.json names in its `files`, and all that the page gets from its own server.
 */

/** Of a service worker's global scope, what is used here: the compiler knows that of a page. */
interface ServiceWorkerScope {
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  readonly registration: { readonly scope: string };
  addEventListener(
    type: "install" | "activate",
    listener: (event: { waitUntil(done: Promise<unknown>): void }) => void,
  ): void;
  addEventListener(
    type: "fetch",
    listener: (event: { readonly request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void;
}
const scope = globalThis as unknown as ServiceWorkerScope;

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "cross-origin",
};

/** The list of files that are kept; null where nothing is. */
const list = new URL(location.href).searchParams.get("keep");
const kept = (): Promise<Cache> => caches.open(`guidestar-page ${scope.registration.scope}`);

async function keepListed(): Promise<void> {
  if (list === null) return;
  const { files } = (await (await fetch(list, { cache: "no-cache" })).json()) as { readonly files: readonly string[] };
  await (await kept()).addAll([".", list, ...files].map((file) => new URL(file, scope.registration.scope).href));
}

/** Weights are kept under their hash, by `loadModel`. */
const isToKeep = ({ method, url }: Request): boolean =>
  list !== null &&
  method === "GET" &&
  new URL(url).origin === location.origin &&
  !/\.(safetensors|zip)$/.test(new URL(url).pathname);

/** What the server gives; what was kept of it, where it cannot be reached. */
async function fetched(request: Request): Promise<Response> {
  if (!isToKeep(request)) return fetch(request);
  try {
    const response = await fetch(request);
    if (response.status === 200) await (await kept()).put(request, response.clone()).catch(() => undefined);
    return response;
  } catch (error) {
    const found = await (await kept()).match(request, { ignoreSearch: true });
    if (found) return found;
    throw error;
  }
}

async function answer(request: Request): Promise<Response> {
  const response = await fetched(request);
  // Of another origin that shows nothing of itself: it stays as it is.
  if (response.status === 0) return response;
  const all = new Headers(response.headers);
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers: all });
}

scope.addEventListener("install", (event) => event.waitUntil(Promise.all([keepListed(), scope.skipWaiting()])));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  // What developer tools ask for; fetching it would throw.
  if (request.cache === "only-if-cached" && request.mode !== "same-origin") return;
  event.respondWith(answer(request));
});

export {};
