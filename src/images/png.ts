import { zlibSync } from "fflate";
import { DataError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import { checkImage, type Image } from "./image.ts";

// An own writer rather than sharp's: it starts at once, runs in browsers, gives the same bytes on every machine, and can carry text.

const MARK = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const COLOUR_TYPE = { 1: 0, 3: 2 };

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Length, type, content, and the checksum of type and content. */
function chunk(type: string, content: Uint8Array): Uint8Array {
  const body = concat([new TextEncoder().encode(type), content]);
  const out = new Uint8Array(body.length + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, content.length);
  out.set(body, 4);
  view.setUint32(4 + body.length, crc32(body));
  return out;
}

/** International text: keyword, then no compression, language or translation (five zero bytes), then UTF-8. */
function textChunk(keyword: string, text: string): Uint8Array {
  if (!/^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword))
    throw new DataError(`png: text keyword "${keyword}" should be 1 to 79 printable ASCII characters`);
  return chunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`));
}

/** Filtered rows, each after the byte that names its filter: 2 (difference to the row above), which suits flat pictures and sheets. */
function filterRows({ width, height, channels, data }: Image): Uint8Array {
  const stride = width * channels;
  const out = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y++) {
    const to = y * (stride + 1);
    out[to] = 2;
    for (let i = 0; i < stride; i++)
      out[to + 1 + i] = data[y * stride + i]! - (y > 0 ? data[(y - 1) * stride + i]! : 0);
  }
  return out;
}

/** Settings of `encodePng`. */
export interface PngOptions {
  /** Text by keyword, kept in the file: any Unicode text under keywords of 1 to 79 printable ASCII characters. */
  readonly text?: Readonly<Record<string, string>>;
}

/** The picture as a PNG file. Equal pictures and text give equal bytes. Throws DataError where sizes and data disagree. */
export function encodePng(image: Image, { text = {} }: PngOptions = {}): Uint8Array {
  checkImage(image);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, image.width);
  header.setUint32(4, image.height);
  header.setUint8(8, 8); // bits per channel
  header.setUint8(9, COLOUR_TYPE[image.channels]);
  return concat([
    MARK,
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...Object.entries(text).map(([keyword, value]) => textChunk(keyword, value)),
    chunk("IDAT", zlibSync(filterRows(image))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

/** Text of a PNG file by keyword (uncompressed `iTXt` and `tEXt`). Throws DataError where it is not a whole PNG. */
export function readPngText(bytes: Uint8Array): Record<string, string> {
  if (MARK.some((byte, i) => bytes[i] !== byte)) throw new DataError("png: not a PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: [string, string][] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length || crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end))
      throw new DataError(`png: its ${type} chunk is truncated or damaged`);
    if (type === "IEND") return Object.fromEntries(texts);
    const content = bytes.subarray(at + 8, end);
    const text = type === "tEXt" ? latinText(content) : type === "iTXt" ? internationalText(content) : undefined;
    if (text) texts.push(text);
    at = end + 4;
  }
  throw new DataError("png: the file is truncated");
}

function latinText(content: Uint8Array): [string, string] {
  const [keyword = "", ...text] = new TextDecoder("latin1").decode(content).split("\0");
  return [keyword, text.join("\0")];
}

function internationalText(content: Uint8Array): [string, string] | undefined {
  const [, keyword, text] = /^([^\0]+)\0\0\0[^\0]*\0[^\0]*\0(.*)$/s.exec(new TextDecoder().decode(content)) ?? [];
  return keyword === undefined || text === undefined ? undefined : [keyword, text]; // else compressed, which nobody here writes
}
