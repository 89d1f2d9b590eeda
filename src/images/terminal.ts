import { type Image, luma } from "./image.ts";
import { boxMean } from "./shrink.ts";

/** The terminal that `terminalPreview` draws for. */
export interface PreviewOptions {
  /** Most characters in a line. */
  readonly columns: number;
  /** Whether the terminal shows 24-bit colour; without it, shades of block characters stand for brightness. */
  readonly color: boolean;
}

const SHADES = " ░▒▓█";

/** Brightness as one of the shades. */
const shade = ([r, g, b]: Rgb): string => SHADES[Math.round((luma(r, g, b) / 255) * (SHADES.length - 1))]!;

type Rgb = readonly [number, number, number];

/** Mean colour of the pixels in a box. */
function colourOf(image: Image, ...box: Parameters<typeof boxMean>[1]): Rgb {
  const [r, g = r, b = r] = boxMean(image, box);
  return [r!, g!, b!];
}

/**
 * The picture in characters, shrunk to at most `columns`, a line break after each line. A character is about twice as high as wide:
 * in colour it shows two pixels (an upper half block with a background), without colour one.
 */
export function terminalPreview(image: Image, { columns, color }: PreviewOptions): string {
  const width = Math.max(1, Math.min(columns, image.width));
  const step = image.width / width; // picture pixels in a character's width
  const lines = Math.max(1, Math.ceil(image.height / (2 * step)));
  const pixel = (x: number, y: number, height: number) => colourOf(image, x * step, y, (x + 1) * step, y + height);
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
