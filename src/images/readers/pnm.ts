import { DataError } from "../../errors.ts";
import type { Image } from "../image.ts";

/*
 * PNM: P1 and P4 have bits (1 is black), P2 and P5 grey, P3 and P6 colour; the first of each pair are numbers in text. Values reach up to a
 * maximum that the file tells, with two bytes each above 255. Only the first picture of a file counts.
 */

/** Pictures of more pixels are refused, as sharp does. */
const MOST_PIXELS = 0x3fff * 0x3fff;

const isSpace = (byte: number | undefined): boolean => byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13);

/** Numbers of a PNM file one after the other, comments left out. */
class Numbers {
  at = 2;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  /** The next number; of a bit map in text, the next digit, for there need be no space between them. */
  next(digits = Number.POSITIVE_INFINITY): number {
    const { bytes } = this;
    while (isSpace(bytes[this.at]) || bytes[this.at] === 35) {
      if (bytes[this.at] === 35)
        while (this.at < bytes.length && bytes[this.at] !== 10 && bytes[this.at] !== 13) this.at++;
      else this.at++;
    }
    let value = Number.NaN;
    for (let n = 0; n < digits; n++) {
      const digit = (bytes[this.at] ?? 0) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = (Number.isNaN(value) ? 0 : value) * 10 + digit;
      this.at++;
    }
    return value;
  }
}

/** Whether bytes begin as a PNM file. */
export const isPnm = (bytes: Uint8Array): boolean =>
  bytes[0] === 80 && bytes[1]! >= 49 && bytes[1]! <= 54 && (isSpace(bytes[2]) || bytes[2] === 35);

/** Pixels of a PNM file (P1 to P6), scaled to bytes. Throws DataError where it is damaged. */
export function decodePnm(bytes: Uint8Array): Image {
  const kind = bytes[1]! - 48;
  const numbers = new Numbers(bytes);
  const [width, height] = [numbers.next(), numbers.next()];
  const most = kind === 1 || kind === 4 ? 1 : numbers.next();
  if (!(width > 0 && height > 0 && width * height <= MOST_PIXELS && most > 0 && most < 65536))
    throw new DataError(`the header of a PNM picture (P${kind}) is damaged: ${width}x${height}, values to ${most}`);
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const start = numbers.at + 1;
  const wide = most > 255 ? 2 : 1;
  const needed = kind === 4 ? Math.ceil(width / 8) * height : kind > 4 ? count * wide : 2 * count - 1;
  const there = bytes.length - start;
  if (there < (kind === 1 ? count : needed))
    throw new DataError(
      `${needed} bytes of pixels were expected but there are ${Math.max(0, there)}; is the file whole?`,
    );
  const data = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const [row, column] = [Math.floor(i / width), i % width];
    const value =
      kind < 4
        ? numbers.next(kind === 1 ? 1 : undefined)
        : kind === 4
          ? (bytes[start + row * Math.ceil(width / 8) + (column >> 3)]! >> (7 - (column & 7))) & 1
          : wide === 1
            ? bytes[start + i]!
            : bytes[start + 2 * i]! * 256 + bytes[start + 2 * i + 1]!;
    if (!(value <= most))
      throw new DataError(`value ${i} of a PNM picture is ${value} but it says that they reach ${most}`);
    data[i] = most === 1 && (kind === 1 || kind === 4) ? 255 * (1 - value) : Math.round((value * 255) / most);
  }
  return { width, height, channels, data };
}
