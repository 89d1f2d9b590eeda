import { xAxis } from "./axes.ts";
import type { Chart, Panel } from "./chart.ts";
import { legend, legendRow, sharedLegend } from "./legend.ts";
import { drawPanel, type Frame, nameX } from "./panel.ts";
import { escaped, ink, text } from "./svg.ts";

const width = 760;
const panelHeight = 250;
const gap = 44;
const margin = { left: 84, right: 28, top: 92, bottom: 58 };
const [left, right] = [margin.left, width - margin.right];

/** Places of panels above each other, the first at `top`; an x axis of a panel's own takes room below it. */
function framesOf(panels: readonly Panel[], top: number): Frame[] {
  const frames: Frame[] = [];
  for (const [n] of panels.entries()) {
    const ownX = panels[n - 1]?.xLabel === undefined ? 0 : margin.bottom - 14;
    const start = n === 0 ? top : frames[n - 1]!.bottom + gap + ownX;
    frames.push({ left, right, top: start, bottom: start + panelHeight });
  }
  return frames;
}

/** A chart as an SVG document. The same chart gives the same text. */
export function chartSvg({ title, subtitle, xLabel, panels, legend: shared }: Chart): string {
  const names = shared ? sharedLegend(shared, left, right, margin.top - 18) : { drawn: [], rows: 0 };
  const top = margin.top + legendRow * names.rows;
  const frames = framesOf(panels, top);
  const bottom = frames.at(-1)?.bottom ?? top + panelHeight;
  const height = bottom + margin.bottom;
  const withCommonX = panels.filter((panel) => panel.xLabel === undefined);
  const commonX = xAxis(
    withCommonX.flatMap(({ lines }) => lines),
    left,
    right,
  );
  const drawn = panels.flatMap((panel, n) => {
    const frame = frames[n]!;
    const x = panel.xLabel === undefined ? commonX : xAxis(panel.lines, left, right);
    return [
      ...drawPanel(panel, frame, x),
      ...(shared ? [] : legend(panel.lines, right, frame.top)),
      ...(panel.xLabel === undefined ? [] : nameX(x, panel.xLabel, frame)),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(left, 32, escaped(title), { size: 17, weight: 600, color: ink }),
    ...(subtitle === undefined ? [] : [text(left, 54, escaped(subtitle), { size: 12.5 })]),
    ...names.drawn,
    ...drawn,
    ...(xLabel === undefined ? [] : nameX(commonX, xLabel, { left, right, top, bottom })),
    "</svg>",
    "",
  ].join("\n");
}
