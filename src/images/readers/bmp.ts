import { DataError } from "../../errors.ts";
import type { Image } from "../image.ts";

/*
 * BMP of Windows, not compressed: 1, 4 and 8 bits with a table of colours, 16, 24 and 32 bits of colour. A fourth byte is ignored, as most
 * programs do: few files have transparency there.
 */

/** Pictures of more pixels are refused, as sharp does. */
const MOST_PIXELS = 0x3fff * 0x3fff;
const FILE_HEADER = 14;
const BITFIELDS = 3;
const COMPRESSIONS: Readonly<Record<number, string>> = { 1: "run lengths", 2: "run lengths", 4: "JPEG", 5: "PNG" };

/** Whether bytes begin as a BMP file. */
export const isBmp = (bytes: Uint8Array): boolean =>
  bytes.length > FILE_HEADER + 12 &&
  bytes[0] === 0x42 &&
  bytes[1] === 0x4d &&
  [12, 40, 52, 56, 64, 108, 124].includes(bytes[14]!);

function headerOf(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = view.getUint32(14, true);
  const old = size === 12;
  if (bytes.length < FILE_HEADER + size)
    throw new DataError("the header of a BMP picture is truncated; is the file whole?");
  const rows = old ? view.getUint16(20, true) : view.getInt32(22, true);
  return {
    view,
    width: old ? view.getUint16(18, true) : view.getInt32(18, true),
    height: Math.abs(rows),
    topDown: rows < 0,
    bits: view.getUint16(old ? 24 : 28, true),
    compression: old ? 0 : view.getUint32(30, true),
    colours: old ? 0 : view.getUint32(46, true),
    pixels: view.getUint32(10, true),
    table: FILE_HEADER + size,
    colourSize: old ? 3 : 4,
  };
}
type Header = ReturnType<typeof headerOf>;

/** How a mask's bits of a pixel become a byte. */
function part(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return (pixel) => Math.round((((pixel & mask) >>> shift) * 255) / most);
}

/** The colour of the pixel in column x of the row that begins at `at`, as red, green and blue. */
function pixelReader({ view, bits, compression, table, colours, colourSize, pixels }: Header, bytes: Uint8Array) {
  if (bits <= 8) {
    const count = Math.min(colours || 2 ** bits, Math.floor((pixels - table) / colourSize));
    return (at: number, x: number): [number, number, number] => {
      const index = (bytes[at + ((x * bits) >> 3)]! >> (8 - bits - ((x * bits) & 7))) & (2 ** bits - 1);
      if (index >= count) throw new DataError(`a BMP picture names colour ${index} but its table has ${count}`);
      const entry = table + colourSize * index;
      return [bytes[entry + 2]!, bytes[entry + 1]!, bytes[entry]!];
    };
  }
  if (bits === 24)
    return (at: number, x: number) => [bytes[at + 3 * x + 2]!, bytes[at + 3 * x + 1]!, bytes[at + 3 * x]!];
  const usual = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const masks =
    compression === BITFIELDS ? [0, 4, 8].map((offset) => view.getUint32(FILE_HEADER + 40 + offset, true)) : usual;
  const parts = masks.map(part);
  return (at: number, x: number) => {
    const pixel = bits === 16 ? view.getUint16(at + 2 * x, true) : view.getUint32(at + 4 * x, true);
    return parts.map((take) => take(pixel));
  };
}

/** Pixels of a BMP file that is not compressed; of one channel where its colours are all grey. Throws DataError where it is damaged. */
export function decodeBmp(bytes: Uint8Array): Image {
  const header = headerOf(bytes);
  const { width, height, bits, compression, pixels, topDown } = header;
  if (!(compression === 0 || (compression === BITFIELDS && bits >= 16 && bytes.length >= FILE_HEADER + 52)))
    throw new DataError(
      `a BMP picture packed by ${COMPRESSIONS[compression] ?? `method ${compression}`} is not read; save it as PNG`,
    );
  if (![1, 4, 8, 16, 24, 32].includes(bits) || width < 1 || height < 1 || width * height > MOST_PIXELS)
    throw new DataError(`the header of a BMP picture is damaged: ${width}x${height}, ${bits} bits`);
  const stride = 4 * Math.ceil((width * bits) / 32);
  if (pixels + stride * height > bytes.length)
    throw new DataError(
      `${pixels + stride * height} bytes were expected but there are ${bytes.length}; is the file whole?`,
    );
  const colourAt = pixelReader(header, bytes);
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const row = pixels + stride * (topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++) data.set(colourAt(row, x), 3 * (y * width + x));
  }
  return { width, height, channels: 3, data };
}
