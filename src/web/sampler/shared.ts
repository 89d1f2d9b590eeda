import type { FetchProgress } from "../fetched-model.ts";
import { createSampler, type Sampler, type SamplerOptions } from "./sampler.ts";

/** A sampler that several elements of a page share, so that a model comes and is opened once. */
export interface Shared extends Pick<Sampler, "model" | "draw" | "read"> {
  /** Resolves when the model is open; the rest may be asked for after that. */
  readonly ready: Promise<unknown>;
  /** Says that this user needs it no more; without any, its worker ends. */
  release(): void;
}

interface Entry {
  readonly sampler: Promise<Sampler>;
  readonly listeners: Set<(progress: FetchProgress) => void>;
  now?: Sampler;
  users: number;
}
const entries = new Map<string, Entry>();

/** The sampler of these options, opened where nobody has it yet. */
export function opened(options: SamplerOptions, onProgress: (progress: FetchProgress) => void): Shared {
  const key = JSON.stringify(options);
  const entry = entries.get(key) ?? open(key, options);
  entry.users++;
  entry.listeners.add(onProgress);
  const now = (): Sampler => entry.now!;
  let released = false;
  return {
    ready: entry.sampler,
    get model() {
      return now().model;
    },
    draw: (...args) => now().draw(...args),
    read: (texts) => now().read(texts),
    release() {
      if (released) return;
      released = true;
      entry.listeners.delete(onProgress);
      entry.users--;
      if (entry.users > 0) return;
      if (entries.get(key) === entry) entries.delete(key);
      void entry.sampler.then((sampler) => sampler[Symbol.asyncDispose]()).catch(() => undefined);
    },
  };
}

function open(key: string, options: SamplerOptions): Entry {
  const listeners: Entry["listeners"] = new Set();
  const sampler = createSampler({
    ...options,
    onProgress: (progress) => {
      for (const listener of listeners) listener(progress);
    },
  });
  const entry: Entry = { sampler, listeners, users: 0 };
  entries.set(key, entry);
  sampler.then(
    (ready) => {
      entry.now = ready;
    },
    // The next one tries again.
    () => entries.get(key) === entry && entries.delete(key),
  );
  return entry;
}
