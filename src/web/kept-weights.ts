import { sha256 } from "../checkpoint/model-files.ts";

const cacheName = "guidestar-weights";

/** Where weights of a hash lie in the cache, whose keys are addresses. */
const keyOf = (hash: string): string => new URL(`/guidestar-weights/${hash}`, location.origin).href;

/**
 * Weights in the browser's cache, by their SHA-256. Nothing here throws: where there is no cache, or no room in it, weights are fetched
 * again.
 */
export class KeptWeights {
  readonly #cache: Promise<Cache | undefined>;

  constructor(isWanted: boolean) {
    // Pages that came by plain http have no cache.
    this.#cache =
      isWanted && "caches" in globalThis ? caches.open(cacheName).catch(() => undefined) : Promise.resolve(undefined);
  }

  /** Those of a hash, verified; undefined where there are none. Damaged ones are removed. */
  async read(hash: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const cache = await this.#cache;
      const found = await cache?.match(keyOf(hash));
      if (!found) return undefined;
      const bytes = new Uint8Array(await found.arrayBuffer());
      if ((await sha256(bytes)) === hash) return bytes;
      await cache!.delete(keyOf(hash));
    } catch {
      // As if there were none.
    }
    return undefined;
  }

  async write(hash: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await (await this.#cache)?.put(keyOf(hash), new Response(bytes)).catch(() => undefined);
  }
}

/** Removes all weights that `loadModel` kept in the browser's cache. */
export async function forgetWeights(): Promise<void> {
  if ("caches" in globalThis) await caches.delete(cacheName);
}
