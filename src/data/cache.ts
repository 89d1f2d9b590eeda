import { createHash } from "node:crypto";
import { open, rename, rm, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { cacheFolder, pruneCache } from "../files/cache.ts";
import { makeFolder } from "../files/make-folder.ts";
import { partialPath } from "../files/partial.ts";
import type { Content, Split } from "./content.ts";

/*
 * A cache file: 8 bytes that name the format, CRC-32 of all that follows, length of the header, the header (JSON, padded to a
 * multiple of 4 bytes), labels of both splits (int32), images of both splits (uint8). Numbers in the machine's byte order.
 */
const FORMAT = "GSDATA04";
const PREFIX = 16;
/** Bytes read or written at a time; the system takes at most 2 GiB. */
const PIECE = 2 ** 26;

interface Header extends Omit<Content, "train" | "test"> {
  readonly shape: Split["shape"];
  readonly counts: readonly [train: number, test: number];
}

/** Bytes that the packed data sets of a folder may take together; those that were not used for longest go first. */
const limit = 10e9;
const names = { whole: /-[0-9a-f]{24}\.bin$/, unfinished: /-[0-9a-f]{24}\.bin\.[0-9a-f-]{36}\.tmp$/ };

/** The file that caches `path` decoded in this way: its name changes with everything that the content depends on. */
export function cacheFile(path: string, dependsOn: readonly unknown[], folder = cacheFolder("datasets")): string {
  const key = createHash("sha256").update(JSON.stringify([FORMAT, resolve(path), ...dependsOn]));
  return join(folder, `${basename(resolve(path))}-${key.digest("hex").slice(0, 24)}.bin`);
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

const bytesOf = (array: Int32Array): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Reads a cache file; undefined where there is none, or it is damaged. */
export async function readCache(file: string): Promise<Content | undefined> {
  const handle = await open(file).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const bytes = new Uint8Array((await handle.stat()).size);
    let crc = 0;
    let at = 0;
    for (const piece of pieces(bytes)) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead < piece.length) return undefined;
      crc = crc32(at === 0 ? piece.subarray(12) : piece, crc);
      at += bytesRead;
    }
    const content = parse(bytes, crc);
    const now = new Date();
    if (content) await utimes(file, now, now).catch(() => undefined);
    return content;
  } finally {
    await handle.close();
  }
}

function parse(bytes: Uint8Array, crc: number): Content | undefined {
  if (bytes.length < PREFIX || new TextDecoder().decode(bytes.subarray(0, 8)) !== FORMAT) return undefined;
  const [expected, headerSize] = new Uint32Array(bytes.buffer, 8, 2) as unknown as [number, number];
  if (crc !== expected) return undefined;
  const header: Header = JSON.parse(new TextDecoder().decode(bytes.subarray(PREFIX, PREFIX + headerSize)));
  const { shape, counts, ...rest } = header;
  const count = counts[0] + counts[1];
  const labels = new Int32Array(bytes.buffer, PREFIX + headerSize, count);
  const images = bytes.subarray(PREFIX + headerSize + labels.byteLength);
  const size = shape[0] * shape[1] * shape[2];
  const split = (from: number, to: number): Split => ({
    count: to - from,
    shape,
    labels: labels.subarray(from, to),
    images: images.subarray(from * size, to * size),
  });
  return { ...rest, train: split(0, counts[0]), test: counts[1] > 0 ? split(counts[0], count) : undefined };
}

/** Writes a cache file whole or not at all; gives the error where the disk does not take it, since one can do without. */
export async function writeCache(file: string, { train, test, ...rest }: Content): Promise<"written" | Error> {
  const header: Header = { ...rest, shape: train.shape, counts: [train.count, test?.count ?? 0] };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const json = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(0x20);
  json.set(text);
  const splits = test ? [train, test] : [train];
  const sizes = bytesOf(Int32Array.of(json.length));
  const body = [sizes, json, ...splits.map(({ labels }) => bytesOf(labels)), ...splits.map(({ images }) => images)];
  const parts = body.flatMap((part) => [...pieces(part)]);
  const crc = parts.reduce((value, part) => crc32(part, value), 0);
  const temporary = partialPath(file);
  try {
    makeFolder(dirname(file));
    await writeFile(temporary, [new TextEncoder().encode(FORMAT), bytesOf(Int32Array.of(crc)), ...parts]);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    return error instanceof Error ? error : new Error(String(error));
  }
  // The file is there, whatever becomes of older ones.
  await pruneCache(dirname(file), limit, names).catch(() => {});
  return "written";
}
