import type { Image } from "./image.ts";

export interface PreviewOptions {
  /** Most characters in a line. */
  readonly columns: number;
  /** Whether the terminal shows 24-bit colour; without it, shades of block characters stand for brightness. */
  readonly color: boolean;
}

type Rgb = readonly [number, number, number];

/** Mean colour of the pixels in a box; its edges may lie between pixels. */
function boxMean(
  { width, height, channels, data }: Image,
  left: number,
  top: number,
  right: number,
  bottom: number,
): Rgb {
  const sum = [0, 0, 0];
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const x1 = Math.min(width, Math.max(x0 + 1, Math.floor(right)));
  const y1 = Math.min(height, Math.max(y0 + 1, Math.floor(bottom)));
  for (let y = y0; y < y1; y++)
    for (let x = x0; x < x1; x++)
      for (let c = 0; c < 3; c++) sum[c]! += data[(y * width + x) * channels + (channels === 3 ? c : 0)]!;
  return sum.map((value) => Math.round(value / ((x1 - x0) * (y1 - y0)))) as unknown as Rgb;
}

const SHADES = " ░▒▓█";

/** Brightness (Rec. 601 luma) as one of the shades. */
const shade = ([r, g, b]: Rgb): string =>
  SHADES[Math.round(((0.299 * r + 0.587 * g + 0.114 * b) / 255) * (SHADES.length - 1))]!;

/**
 * The picture in characters, shrunk to at most `columns`, a line break after each line. A character is about twice as high as wide:
 * in colour it shows two pixels (an upper half block with a background), without colour one.
 */
export function terminalPreview(image: Image, { columns, color }: PreviewOptions): string {
  const width = Math.max(1, Math.min(columns, image.width));
  const step = image.width / width; // picture pixels in a character's width
  const lines = Math.max(1, Math.ceil(image.height / (2 * step)));
  const pixel = (x: number, y: number, height: number) => boxMean(image, x * step, y, (x + 1) * step, y + height);
  const rows = Array.from({ length: lines }, (_, line) => {
    const top = line * 2 * step;
    const cells = Array.from({ length: width }, (_, x) => {
      if (!color) return shade(pixel(x, top, 2 * step));
      const upper = `\x1b[38;2;${pixel(x, top, step).join(";")}m`;
      if (top + step >= image.height) return `\x1b[49m${upper}▀`; // an odd last row of pixels
      return `${upper}\x1b[48;2;${pixel(x, top + step, step).join(";")}m▀`;
    });
    return cells.join("") + (color ? "\x1b[0m" : "");
  });
  return `${rows.join("\n")}\n`;
}
