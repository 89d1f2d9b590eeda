import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { rename, rm, statfs, utimes } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";
import { cacheFolder, pruneCache } from "../files/cache.ts";
import { makeFolder } from "../files/make-folder.ts";
import { makePartialFolder } from "../files/partial.ts";
import type { ProgramCache, ProgramSlot } from "./backend.ts";
import { readProgram, writeRecord } from "./kept-program.ts";

/** Of the folders of programs: a hash, to which version 0.1.0 added six letters while one was written. */
const names = { whole: /^[0-9a-f]{32}$/, unfinished: /^[0-9a-f]{32}\.\w{6}$/ };

export interface ProgramCacheOptions {
  readonly folder?: string;
  /** Bytes that all kept programs may take together; those that were not used for longest go first. */
  readonly limit?: number;
}

/** GUIDESTAR_PROGRAM_CACHE: megabytes that kept programs may take, or "off". */
function limitFromEnvironment(): number {
  const text = process.env.GUIDESTAR_PROGRAM_CACHE || "5000";
  const limit = text === "off" ? 0 : 1e6 * Number(text);
  if (limit >= 0) return limit;
  throw new UsageError(`GUIDESTAR_PROGRAM_CACHE is "${text}"; expected megabytes, or "off"`);
}

/**
 * Keeps programs on the disk as ONNX Runtime optimized them. That costs most of a start, most of all for training, and gives the same
 * for the same graph on the same machine. Without a folder to write to, or with a limit of 0, nothing is kept.
 *
 * @param settings of the engine: threads and the like
 * @throws UsageError where GUIDESTAR_PROGRAM_CACHE is no size
 */
export function openProgramCache(
  settings: unknown,
  { folder = cacheFolder("programs"), limit = limitFromEnvironment() }: ProgramCacheOptions = {},
): ProgramCache | undefined {
  if (limit <= 0) return undefined;
  try {
    makeFolder(folder);
  } catch {
    return undefined;
  }
  return {
    slot(identity, size) {
      if (size > limit) return undefined;
      const key = createHash("sha256").update(JSON.stringify([settings, machine(), engineVersion(), codeHash()]));
      for (const part of identity) key.update(part);
      return slot(join(folder, key.digest("hex").slice(0, 32)), size, limit);
    },
  };
}

function slot(place: string, size: number, limit: number): ProgramSlot {
  const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true }).catch(() => undefined);
  return {
    async read() {
      const kept = await readProgram(place).catch(() => undefined);
      const now = new Date();
      if (kept) await utimes(place, now, now).catch(() => undefined);
      return kept;
    },
    async makeFolder() {
      try {
        const { bavail, bsize } = await statfs(dirname(place));
        if (bavail * bsize < 2 * size) return undefined;
        return await makePartialFolder(place);
      } catch {
        return undefined;
      }
    },
    async keep(folder, inPlace) {
      try {
        await writeRecord(folder, inPlace);
        await remove(place); // there is one where it was damaged, or another process was faster
        await rename(folder, place);
        await pruneCache(dirname(place), limit, names);
      } catch {
        // A program that is not kept is compiled again.
      }
      await remove(folder);
    },
    discard: remove,
  };
}

/** What the engine's choices depend on: kernels are chosen by the processor's instructions. */
const machine = once(() => {
  const model = cpus()[0]?.model;
  const { platform, arch } = process;
  try {
    const flags = /^(flags|Features)\s*:.*$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[0];
    return { platform, arch, model, flags };
  } catch {
    return { platform, arch, model };
  }
});

const engineVersion = once((): string => {
  const main = createRequire(import.meta.url).resolve("onnxruntime-node");
  return JSON.parse(readFileSync(join(dirname(main), "..", "package.json"), "utf8")).version;
});

/** Hash of the code that makes models of graphs, all files of its rooms, so that no change of it needs a version number. */
const codeHash = once((): string => {
  const hash = createHash("sha256");
  for (const room of ["tensor", "onnx", "runtime"]) {
    const folder = fileURLToPath(new URL(`../${room}/`, import.meta.url));
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort())
      if (/\.[jt]s$/.test(name)) hash.update(readFileSync(join(folder, name)));
  }
  return hash.digest("hex");
});

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
