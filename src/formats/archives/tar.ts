import { type ByteSource, type Failure, readPart } from "../bytes.ts";
import { zipName } from "./zip-names.ts";

/*
 * Tar archives: POSIX.1-1988 (ustar), its extended headers of 2001 (pax), and GNU's long names and large sizes. Each entry is a block of
 * 512 bytes and its content, padded to whole blocks.
 */
const BLOCK = 512;
/** Names are shorter; a header that says more is damaged. */
const LONGEST_HEADER = 2 ** 20;
/** Zeros end an archive; when so many were seen, nothing is looked for behind them. Archives laid end to end have fewer between them. */
const PADDING = 2 ** 16;

/** A file of a tar archive: where its content lies. */
export interface TarEntry {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** The files of a tar archive, in its order, and what is not a file with content. */
export interface Tar {
  readonly files: readonly TarEntry[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

const FILES = new Set(["0", "\0", "7"]);
const NO_FILES: Readonly<Record<string, string>> = {
  1: "a link to another file of the archive",
  2: "a symbolic link",
  S: "a sparse file, which is not read; pack it with --hole-detection off",
};

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  return zipName(end < 0 ? bytes : bytes.subarray(0, end), 0, new Uint8Array(0)).name;
};

/** A number in octal digits, or in base 256 where the first bit is set. NaN where it is neither. */
function numberOf(bytes: Uint8Array): number {
  if ((bytes[0]! & 0x80) !== 0) return bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, bytes[0]! & 0x7f);
  const digits = text(bytes).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(`0${digits}`, 8) : Number.NaN;
}

/** Whether a block is a tar header: the sum of its bytes is in it, counted with spaces in its own place. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length < BLOCK || block[0] === 0) return false;
  const sum = block.subarray(0, BLOCK).reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  return sum === numberOf(block.subarray(148, 156));
}

/** Records "LENGTH KEY=VALUE\n" of an extended header. */
function paxRecords(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(text(bytes.subarray(at, space)));
    if (!(length > space - at && at + length <= bytes.length)) break;
    const record = new TextDecoder().decode(bytes.subarray(space + 1, at + length - 1));
    const equals = record.indexOf("=");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** What a header says, with the longer name and size that a header before it may have given. */
function entryOf(block: Uint8Array, { path, size }: { path?: string | undefined; size?: string | undefined }) {
  const prefix =
    new TextDecoder("latin1").decode(block.subarray(257, 263)) === "ustar\0" ? text(block.subarray(345, 500)) : "";
  const name = text(block.subarray(0, 100));
  return {
    type: String.fromCharCode(block[156]!),
    name: path ?? (prefix === "" ? name : `${prefix}/${name}`),
    size: size === undefined ? numberOf(block.subarray(124, 136)) : Number(size),
  };
}

/**
 * Finds the files of a tar archive without reading them. `what` names it in errors of class `Failure`, which are thrown where it is no tar,
 * damaged or truncated.
 */
export function readTar(source: ByteSource, what: string, Failure: Failure): Tar {
  const files: TarEntry[] = [];
  const skipped: { path: string; reason: string }[] = [];
  let long: { path?: string | undefined; size?: string | undefined } = {};
  let zeros = 0;
  if (source.size < BLOCK) throw new Failure(`${what}: not a tar archive`);
  for (let at = 0; at + BLOCK <= source.size && zeros < PADDING; ) {
    const block = source.read(at, BLOCK);
    if (block.every((byte) => byte === 0)) {
      zeros += BLOCK;
      at += BLOCK;
      continue;
    }
    if (!isTarHeader(block))
      throw new Failure(`${what}: ${at === 0 ? "not a tar archive" : `the tar archive is damaged at byte ${at}`}`);
    zeros = 0;
    const { type, name, size } = entryOf(block, long);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0)
      throw new Failure(`${what}: "${name}": the size in its tar header is damaged`);
    if (start + size > source.size)
      throw new Failure(
        `${what}: ends within "${name}" (${start + size} bytes were expected but there are ${source.size}); is the file whole?`,
      );
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    if (type === "x" || type === "L") {
      if (size > LONGEST_HEADER)
        throw new Failure(`${what}: an extended tar header of ${size} bytes; the file is damaged`);
      const content = readPart(source, start, size, what, Failure);
      const pax = type === "x" ? paxRecords(content) : undefined;
      long = pax ? { path: pax.get("path") ?? long.path, size: pax.get("size") } : { ...long, path: text(content) };
      continue;
    }
    if (FILES.has(type) && !name.endsWith("/")) files.push({ name, offset: start, size });
    else if (NO_FILES[type]) skipped.push({ path: name, reason: NO_FILES[type] });
    if (type !== "g" && type !== "K") long = {};
  }
  return { files, skipped };
}
