import { inflateSync } from "fflate";
import { zipName } from "./archives/zip-names.ts";
import { type ByteSource, bytesOf, type Failure, partLength, partsOf, readPart, viewOf } from "./bytes.ts";
import { crc32 } from "./crc32.ts";

/** An entry of a zip's central directory; sizes and offsets in bytes. */
interface ZipEntry {
  readonly encrypted: boolean;
  readonly method: number;
  readonly crc: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly headerOffset: number;
}

/** Entries of an archive by name. */
export interface Zip {
  readonly names: readonly string[];
  /** Whether some names are in neither Unicode nor ASCII; they were read as CP437, the zip format's first encoding. */
  readonly namesInCp437: boolean;
  /** Bytes of an entry, unpacked, as the directory has it. */
  size(name: string): number | undefined;
  /** An entry with its checksum verified, in parts of whatever length: one that is stored as it is never lies whole in memory. */
  open(name: string): ByteSource;
  /** All bytes of an entry, with its checksum verified. */
  read(name: string): Uint8Array;
}

/** Names of methods that are not read (APPNOTE 4.4.5). */
const METHODS: Readonly<Record<number, string>> = {
  9: "deflate64",
  12: "bzip2",
  14: "lzma",
  93: "zstandard",
  95: "xz",
};

const SIGNATURE = { entry: 0x02014b50, local: 0x04034b50, end: 0x06054b50, end64: 0x06064b50, locator64: 0x07064b50 };
const END_SIZE = 22;
const LOCATOR64_SIZE = 20;
const ENTRY_SIZE = 46;
/** No deflate stream expands further: a block of 258 bytes takes two bits. */
const MOST_EXPANSION = 1032;

const uint64 = (view: DataView, offset: number): number => Number(view.getBigUint64(offset, true));

/** Where the central directory is: from the end record, or the zip64 end record where there is one. */
function findDirectory(source: ByteSource, what: string, Failure: Failure) {
  const tailSize = Math.min(source.size, END_SIZE + 0xffff + LOCATOR64_SIZE);
  const tail = viewOf(source.read(source.size - tailSize, tailSize));
  for (let at = tailSize - END_SIZE; at >= 0; at--) {
    if (tail.getUint32(at, true) !== SIGNATURE.end || at + END_SIZE + tail.getUint16(at + 20, true) > tailSize)
      continue;
    const locator = at - LOCATOR64_SIZE;
    if (locator >= 0 && tail.getUint32(locator, true) === SIGNATURE.locator64) {
      const end64 = viewOf(readPart(source, uint64(tail, locator + 8), 56, `${what}: zip64 end record`, Failure));
      if (end64.getUint32(0, true) !== SIGNATURE.end64) throw new Failure(`${what}: the zip64 end record is damaged`);
      return { size: uint64(end64, 40), offset: uint64(end64, 48), end: uint64(tail, locator + 8) };
    }
    const end = source.size - tailSize + at;
    return { size: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true), end };
  }
  throw new Failure(`${what}: not a whole zip archive (its directory, at the end, is missing); is the file truncated?`);
}

/** The zip64 values among an entry's extra fields, which hold only those that overflow 32 bits, in a fixed order. */
function wideValues(extra: Uint8Array): number[] {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) !== 1 || at + 4 + size > extra.length) continue;
    return Array.from({ length: Math.floor(size / 8) }, (_, i) => uint64(view, at + 4 + 8 * i));
  }
  return [];
}

/** The entry at the start of `bytes`, and how long it is; undefined where it is damaged. */
function readEntry(bytes: Uint8Array) {
  const view = viewOf(bytes);
  if (bytes.length < ENTRY_SIZE || view.getUint32(0, true) !== SIGNATURE.entry) return undefined;
  const nameEnd = ENTRY_SIZE + view.getUint16(28, true);
  const extraEnd = nameEnd + view.getUint16(30, true);
  const length = extraEnd + view.getUint16(32, true);
  if (length > bytes.length) return undefined;
  const extra = bytes.subarray(nameEnd, extraEnd);
  const wide = wideValues(extra);
  const uint32OrWide = (offset: number) => {
    const value = view.getUint32(offset, true);
    return value === 0xffffffff ? (wide.shift() ?? value) : value;
  };
  const size = uint32OrWide(24);
  const compressedSize = uint32OrWide(20);
  const headerOffset = uint32OrWide(42);
  const [flags, method, crc] = [view.getUint16(8, true), view.getUint16(10, true), view.getUint32(16, true)];
  const { name, encoding } = zipName(bytes.subarray(ENTRY_SIZE, nameEnd), flags, extra);
  const entry: ZipEntry = { encrypted: (flags & 1) === 1, method, crc, compressedSize, size, headerOffset };
  return { name, encoding, entry, length };
}

/**
 * Bytes before the archive, as a program that unpacks itself has them: the directory then lies where it ends, not where it says.
 */
function bytesBefore(source: ByteSource, { size, offset, end }: ReturnType<typeof findDirectory>): number {
  const before = end - size - offset;
  if (before <= 0 || size < 4) return 0;
  const startsAt = (at: number): boolean =>
    at + 4 <= source.size && viewOf(source.read(at, 4)).getUint32(0, true) === SIGNATURE.entry;
  return !startsAt(offset) && startsAt(offset + before) ? before : 0;
}

/** Opens a zip (zip64 included) without reading its entries. `what` names the file in errors of class `Failure`. */
export function openZip(source: ByteSource, what: string, Failure: Failure): Zip {
  const directory = findDirectory(source, what, Failure);
  const before = bytesBefore(source, directory);
  const bytes = readPart(source, before + directory.offset, directory.size, `${what}: zip directory`, Failure);
  const entries = new Map<string, ZipEntry>();
  let namesInCp437 = false;
  // To the directory's end: its count of entries wraps at 65,536 in the archives of some writers.
  for (let at = 0; at < bytes.length; ) {
    const found = readEntry(bytes.subarray(at));
    if (!found) throw new Failure(`${what}: the zip directory is damaged`);
    if (entries.has(found.name)) throw new Failure(`${what}: the zip names "${found.name}" twice`);
    entries.set(found.name, found.entry);
    namesInCp437 ||= found.encoding === "CP437";
    at += found.length;
  }

  const verified = new Set<string>();
  const zip: Zip = {
    names: [...entries.keys()],
    namesInCp437,
    size: (name) => entries.get(name)?.size,
    open(name) {
      const entry = entries.get(name);
      if (!entry) throw new Failure(`${what}: "${name}" is missing from the archive`);
      const where = `${what}: "${name}"`;
      if (entry.encrypted) throw new Failure(`${where} is encrypted; unpack the archive with its password first`);
      const header = viewOf(readPart(source, before + entry.headerOffset, 30, where, Failure));
      if (header.getUint32(0, true) !== SIGNATURE.local) throw new Failure(`${where}: its zip header is damaged`);
      const start = before + entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
      const stored: ByteSource = {
        size: entry.compressedSize,
        read: (offset, length, memory) => readPart(source, start + offset, length, where, Failure, memory),
      };
      const isSmall = entry.method !== 0 || stored.size <= partLength;
      const packed = isSmall ? stored.read(0, stored.size) : undefined;
      const content = packed ? bytesOf(entry.method === 0 ? packed : inflate(packed, entry, where, Failure)) : stored;
      if (!packed && verified.has(name)) return content;
      if (content.size !== entry.size || checksum(content) !== entry.crc)
        throw new Failure(`${where}: size or checksum differ from what the zip directory says; the file is damaged`);
      verified.add(name);
      return content;
    },
    read(name) {
      const content = zip.open(name);
      return content.read(0, content.size);
    },
  };
  return zip;
}

function checksum(content: ByteSource): number {
  let crc = 0;
  for (const part of partsOf(content)) crc = crc32(part, crc);
  return crc;
}

function inflate(bytes: Uint8Array, { method, size }: ZipEntry, where: string, Failure: Failure): Uint8Array {
  if (method !== 8) {
    const name = METHODS[method] ?? `method ${method}`;
    throw new Failure(`${where} is packed by ${name}, which is not read (deflate is); unpack the archive first`);
  }
  if (size > bytes.length * MOST_EXPANSION) throw new Failure(`${where}: the size in its zip directory is impossible`);
  try {
    return inflateSync(bytes, { out: new Uint8Array(size) });
  } catch (cause) {
    throw new Failure(`${where}: cannot be inflated; the file is damaged`, { cause });
  }
}
