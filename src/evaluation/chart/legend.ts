import type { Line } from "./chart.ts";
import { escaped, fixed, ink, text } from "./svg.ts";

/** Height of a row of names. */
export const legendRow = 20;

/** Names of the lines of a panel, side by side above its right end; a single line is named by the axis. */
export function legend(lines: readonly Line[], right: number, top: number): string[] {
  if (lines.length < 2) return [];
  let left = right;
  return lines.toReversed().flatMap(({ label, color }) => {
    const end = left;
    // Letters are at most about 6 pixels wide at this size.
    left -= 6 * label.length + 48;
    return [
      `<path d="M${fixed(end - 6 * label.length - 30)} ${top - 16}h20" stroke="${color}" stroke-width="3" stroke-linecap="round"/>`,
      text(end, top - 12, escaped(label), { color: ink, anchor: "end" }),
    ];
  });
}

/** Names of lines in rows from the left, the first of them at `top`. */
export function sharedLegend(
  lines: readonly Pick<Line, "label" | "color">[],
  left: number,
  right: number,
  top: number,
): { drawn: string[]; rows: number } {
  let [x, row] = [left, 0];
  const drawn = lines.flatMap(({ label, color }) => {
    const wide = 6.2 * label.length + 48;
    if (x > left && x + wide > right + 20) [x, row] = [left, row + 1];
    const y = top + legendRow * row;
    const start = x;
    x += wide;
    return [
      `<path d="M${fixed(start)} ${fixed(y - 4)}h20" stroke="${color}" stroke-width="3" stroke-linecap="round"/>`,
      text(start + 26, y, escaped(label), { color: ink }),
    ];
  });
  return { drawn, rows: lines.length > 0 ? row + 1 : 0 };
}
