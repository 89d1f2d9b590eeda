import { sha256 } from "../../checkpoint/model-files.ts";
import type { Backend, LoadedModel } from "../../runtime/backend.ts";

type Onnx = Parameters<Backend["load"]>[0];

interface Entry {
  readonly loaded: Promise<LoadedModel>;
  /** Drawings that run it now. */
  users: number;
}

/**
 * A backend that keeps the programs that it ran last. On a page the same is drawn again and again with other seeds and classes, which
 * are inputs: the program is the same, and opening it takes as long as several steps.
 *
 * @param keep programs that stay, beside those that run; each holds the model's weights anew
 */
export function withRecentPrograms(backend: Backend, keep = 3): Backend {
  // The one that was used last is the last.
  const entries = new Map<string, Entry>();
  const drop = async ([key, { loaded }]: [string, Entry]): Promise<void> => {
    entries.delete(key);
    await loaded.then((model) => model[Symbol.asyncDispose]());
  };
  const release = async (entry: Entry): Promise<void> => {
    entry.users--;
    const idle = [...entries].filter(([, { users }]) => users === 0);
    for (const each of idle.slice(0, Math.max(0, idle.length - keep))) await drop(each);
  };
  return {
    ...backend,
    async load(model, options) {
      if (options.state.size > 0) return backend.load(model, options);
      const key = await keyOf(model);
      const entry = entries.get(key) ?? { loaded: backend.load(model, options), users: 0 };
      entries.delete(key);
      entries.set(key, entry);
      entry.users++;
      try {
        return { ...(await entry.loaded), [Symbol.asyncDispose]: () => release(entry) };
      } catch (error) {
        entries.delete(key);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** Everything that a program is. */
async function keyOf({ bytes, externalData }: Onnx): Promise<string> {
  const parts = [bytes, ...externalData.map(({ data }) => data)];
  const hashes = await Promise.all(
    parts.map(({ buffer, byteOffset, byteLength }) =>
      sha256(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)),
    ),
  );
  return hashes.join(" ");
}
