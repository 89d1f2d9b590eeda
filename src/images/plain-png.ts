import { inflateSync } from "node:zlib";
import { crc32 } from "../formats/crc32.ts";
import type { Image } from "./image.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Chunks that leave the pixels as they are. */
const HARMLESS = new Set(["IEND", "tEXt", "zTXt", "iTXt", "tIME", "pHYs"]);
/** Above this size sharp's threads are faster. */
const MOST_BYTES = 2 ** 16;

/**
 * Decodes a small PNG of the plainest kind: 8-bit grey or RGB, not interlaced, with no chunk that changes how pixels are read.
 * Everything else gives undefined, damaged files too: sharp decodes those, or says what is wrong. Data sets of tens of thousands
 * of tiny images spend their time on sharp's start-up per image; this is several times faster.
 */
export function decodePlainPng(bytes: Uint8Array): Image | undefined {
  if (bytes.length > MOST_BYTES || SIGNATURE.some((byte, i) => bytes[i] !== byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let header: { width: number; height: number; channels: 1 | 3 } | undefined;
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length || crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) return undefined;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "IHDR" && length === 13) {
      const colour = bytes[at + 17];
      if (bytes[at + 16] !== 8 || bytes[at + 20] !== 0 || (colour !== 0 && colour !== 2)) return undefined;
      header = { width: view.getUint32(at + 8), height: view.getUint32(at + 12), channels: colour === 0 ? 1 : 3 };
    } else if (type === "IDAT") parts.push(bytes.subarray(at + 8, end));
    else if (!HARMLESS.has(type)) return undefined;
    at = end + 4;
  }
  if (!header) return undefined;
  const size = header.height * (1 + header.width * header.channels);
  if (size > MOST_BYTES) return undefined;
  try {
    const lines = inflateSync(Buffer.concat(parts), { maxOutputLength: size, chunkSize: Math.max(size, 64) });
    return lines.length === size ? { ...header, data: unfilter(lines, header) } : undefined;
  } catch {
    return undefined;
  }
}

/** Undoes the filter of each scan line. PNG specification, section 9: a is the byte to the left, b above, c above left. */
function unfilter(lines: Uint8Array, { width, height, channels }: Omit<Image, "data">): Uint8Array {
  const row = width * channels;
  const out = new Uint8Array(height * row);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (row + 1)]!;
    if (filter > 4) throw new RangeError(`PNG filter ${filter}`);
    for (let x = 0, to = y * row, from = y * (row + 1) + 1; x < row; x++, to++, from++) {
      const a = x >= channels ? out[to - channels]! : 0;
      const b = y > 0 ? out[to - row]! : 0;
      const c = x >= channels && y > 0 ? out[to - row - channels]! : 0;
      out[to] = lines[from]! + predict(filter, a, b, c);
    }
  }
  return out;
}

function predict(filter: number, a: number, b: number, c: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return a;
  if (filter === 2) return b;
  if (filter === 3) return (a + b) >> 1;
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)]; // Paeth
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}
