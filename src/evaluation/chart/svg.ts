/*
 * The elements of a chart as SVG.
 */

/** Colours: of names, of what matters less, of lines of a grid, and of those without a number. */
export const ink = "#1f2933";
export const soft = "#66727f";
export const rule = "#e3e8ed";
export const faint = "#f1f4f7";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
/** A text as content of an element or an attribute. */
export const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => escapes[character]!);
/** A coordinate, to a hundredth of a pixel. */
export const fixed = (value: number): string => String(Math.round(value * 100) / 100);

interface TextStyle {
  readonly size?: number;
  readonly anchor?: "start" | "middle" | "end";
  readonly color?: string;
  readonly weight?: number;
  readonly rotate?: number;
  /** White around the letters, so that they can be read on lines. */
  readonly halo?: boolean;
}

/** A text element; `content` is SVG already. */
export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, anchor = "start", color = soft, weight = 400, rotate, halo = false } = style;
  const turned = rotate === undefined ? "" : ` transform="rotate(${rotate} ${fixed(x)} ${fixed(y)})"`;
  const around = halo ? ' stroke="#ffffff" stroke-width="3" paint-order="stroke" stroke-linejoin="round"' : "";
  return `<text x="${fixed(x)}" y="${fixed(y)}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}" fill="${color}"${around}${turned}>${content}</text>`;
}

/** A straight line. */
export const segment = (x1: number, y1: number, x2: number, y2: number, color: string): string =>
  `<path d="M${fixed(x1)} ${fixed(y1)}L${fixed(x2)} ${fixed(y2)}" stroke="${color}" fill="none"/>`;
