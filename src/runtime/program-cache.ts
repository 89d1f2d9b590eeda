import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";
import type { KeptProgram, ProgramCache, ProgramSlot } from "./backend.ts";

/*
 * A kept program: SHA-256 of all that follows, length of the header (uint32, little-endian), the header (JSON), and the model as the
 * engine optimized it.
 */
const hashLength = 32;
const suffix = ".program";

export interface ProgramCacheOptions {
  readonly folder?: string;
  /** Bytes that all kept programs may take together; those that were not used for longest go first. */
  readonly limit?: number;
}

/** GUIDESTAR_PROGRAM_CACHE: megabytes that kept programs may take, or "off". */
function limitFromEnvironment(): number {
  const text = process.env.GUIDESTAR_PROGRAM_CACHE || "1000";
  const limit = text === "off" ? 0 : 1e6 * Number(text);
  if (limit >= 0) return limit;
  throw new UsageError(`GUIDESTAR_PROGRAM_CACHE is "${text}"; expected megabytes, or "off"`);
}

const defaultFolder = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "guidestar", "programs");

/**
 * Keeps programs on the disk as ONNX Runtime optimized them. That costs most of a start, most of all for training, and gives the same
 * for the same graph on the same machine. Without a folder to write to, or with a limit of 0, nothing is kept.
 *
 * @param settings of the engine: threads and the like
 * @throws UsageError where GUIDESTAR_PROGRAM_CACHE is no size
 */
export function openProgramCache(
  settings: unknown,
  { folder = defaultFolder(), limit = limitFromEnvironment() }: ProgramCacheOptions = {},
): ProgramCache | undefined {
  if (limit <= 0) return undefined;
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    return undefined;
  }
  return {
    slot(identity) {
      const key = createHash("sha256").update(JSON.stringify([settings, machine(), engineVersion(), codeHash()]));
      for (const part of identity) key.update(part);
      return slot(join(folder, key.digest("hex").slice(0, 32) + suffix), folder, limit);
    },
  };
}

function slot(file: string, folder: string, limit: number): ProgramSlot {
  const saveTo = `${file}.${randomUUID()}.tmp`;
  return {
    saveTo,
    async read() {
      const kept = await readFile(file).then(decode, () => undefined);
      const now = new Date();
      if (kept) await utimes(file, now, now).catch(() => undefined);
      return kept;
    },
    async keep(inPlace) {
      const whole = `${saveTo}.whole`;
      try {
        await writeFile(whole, encode(await readFile(saveTo), inPlace));
        await rename(whole, file);
        await prune(folder, limit);
      } catch {
        // A program that is not kept is compiled again.
      }
      await Promise.all([saveTo, whole].map((path) => rm(path, { force: true }).catch(() => undefined)));
    },
    discard: () => rm(file, { force: true }).catch(() => undefined),
  };
}

function encode(bytes: Uint8Array, inPlace: ReadonlySet<string>): Uint8Array {
  const header = Buffer.from(JSON.stringify({ inPlace: [...inPlace] }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const content = [length, header, bytes];
  const hash = createHash("sha256");
  for (const part of content) hash.update(part);
  return Buffer.concat([hash.digest(), ...content]);
}

/** Undefined where the file is damaged. */
function decode(file: Buffer): KeptProgram | undefined {
  const content = file.subarray(hashLength);
  if (content.length < 4 || !createHash("sha256").update(content).digest().equals(file.subarray(0, hashLength)))
    return undefined;
  const end = 4 + content.readUInt32LE();
  const { inPlace } = JSON.parse(content.toString("utf8", 4, end)) as { inPlace: string[] };
  return { bytes: content.subarray(end), inPlace: new Set(inPlace) };
}

/** Removes what was not used for longest until the rest fits, and what processes that ended early left behind. */
async function prune(folder: string, limit: number): Promise<void> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const path = join(folder, name);
      const { size, mtimeMs } = await stat(path);
      return { path, size, mtimeMs };
    }),
  );
  let total = 0;
  for (const { path, size, mtimeMs } of files.toSorted((a, b) => b.mtimeMs - a.mtimeMs)) {
    const abandoned = !path.endsWith(suffix) && Date.now() - mtimeMs > 3_600_000;
    if (path.endsWith(suffix)) total += size;
    if (abandoned || (path.endsWith(suffix) && total > limit)) await rm(path, { force: true });
  }
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

/** Hash of the code that makes models of graphs, so that no change of it needs a version number. */
const codeHash = once((): string => {
  const hash = createHash("sha256");
  for (const room of ["tensor", "onnx", "runtime"]) {
    const folder = fileURLToPath(new URL(`../${room}/`, import.meta.url));
    for (const name of readdirSync(folder).sort())
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
