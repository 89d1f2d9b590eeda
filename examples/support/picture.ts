// Pictures of the plane: panels side by side, with a density, arrows, paths and points.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { encodePng } from "guidestar";
import sharp from "sharp";
import type { Point } from "./plane.ts";
import { lattice } from "./run.ts";

export interface Panel {
  readonly title: string;
  /** Density at the points of `lattice(pixels, extent)`; shown relative to its largest value. */
  readonly density?: readonly number[];
  /** Arrows: where they start, and where they point; their lengths are compressed. */
  readonly arrows?: { readonly at: readonly Point[]; readonly by: readonly Point[] };
  /** Lines through points. */
  readonly paths?: readonly (readonly Point[])[];
  readonly points?: readonly Point[];
  /** Class of each point: its colour. */
  readonly labels?: readonly number[];
}

export interface PictureOptions {
  /** Half the side of the plane that is shown. */
  readonly extent?: number;
  readonly columns?: number;
}

/** Densities are given at so many points in each direction. */
export const pixels = 120;
const side = 264;
const [gap, header] = [14, 30];
const classColours = ["#d9480f", "#0b7285", "#5f3dc4"];
/** From no density to the largest. */
const shades = ["#fcfcfa", "#e3ebf6", "#bccfec", "#8aa9de", "#5d7fc9", "#3c55a5"];

/** Density of a function of points, for a panel. */
export const densityOf = (logDensity: (point: Point) => number, extent = 1.3): number[] =>
  lattice(pixels, extent).map((point) => Math.exp(logDensity(point)));

/** Draws the panels and writes them as PNG; makes the folder. */
export async function savePicture(path: string, panels: readonly Panel[], options: PictureOptions = {}): Promise<void> {
  const { extent = 1.3, columns = panels.length } = options;
  const rows = Math.ceil(panels.length / columns);
  const width = columns * (side + gap) + gap;
  const height = rows * (side + header) + gap;
  const drawn = panels.map((panel, i) => {
    const left = gap + (i % columns) * (side + gap);
    const top = header + Math.floor(i / columns) * (side + header);
    return `<g transform="translate(${left} ${top})">${panelSvg(panel, extent)}</g>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}">
<defs><clipPath id="plane"><rect width="${side}" height="${side}" rx="4"/></clipPath></defs>
<rect width="100%" height="100%" fill="#ffffff"/>${drawn.join("\n")}</svg>`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await sharp(Buffer.from(svg), { density: 108 }).png().toBuffer());
}

function panelSvg({ title, density, arrows, paths = [], points = [], labels = [] }: Panel, extent: number): string {
  const place = ([x, y]: Point): string =>
    `${(((x / extent + 1) / 2) * side).toFixed(1)} ${(((1 - y / extent) / 2) * side).toFixed(1)}`;
  const colour = (i: number): string => classColours[labels[i] ?? 2]!;
  const image = density
    ? `<image width="${side}" height="${side}" preserveAspectRatio="none" href="${pngOf(density)}"/>`
    : `<rect width="${side}" height="${side}" fill="${shades[0]}"/>`;
  const lines = paths.map(
    (path, i) =>
      `<path d="M${path.map(place).join("L")}" fill="none" stroke="${colour(i)}" stroke-width="0.9" opacity="0.55"/>`,
  );
  const dots = points.map((point, i) => {
    const [cx, cy] = place(point).split(" ");
    return `<circle cx="${cx}" cy="${cy}" r="1.7" fill="${colour(i)}" fill-opacity="0.75"/>`;
  });
  return `<text x="2" y="-9" font-family="DejaVu Sans, sans-serif" font-size="12.5" fill="#212529">${title}</text>
<g clip-path="url(#plane)">${image}${arrowsSvg(arrows, place, extent)}${lines.join("")}${dots.join("")}</g>
<rect width="${side}" height="${side}" rx="4" fill="none" stroke="#ced4da"/>`;
}

/** Arrows as long as the distance between them at most. */
function arrowsSvg(arrows: Panel["arrows"], place: (point: Point) => string, extent: number): string {
  if (!arrows) return "";
  const lengths = arrows.by.map(([x, y]) => Math.hypot(x, y));
  const typical = lengths.toSorted((a, b) => a - b)[Math.floor(lengths.length / 2)]! || 1;
  const longest = (2 * extent) / Math.sqrt(arrows.at.length);
  return arrows.at
    .map(([x, y], i) => {
      const [dx, dy] = arrows.by[i]!;
      const length = lengths[i]!;
      const shown = (longest * length) / (length + typical) / (length || 1);
      const [ex, ey] = [x + shown * dx, y + shown * dy];
      const head = (turn: number): Point => [
        ex - 0.32 * shown * (dx * Math.cos(turn) - dy * Math.sin(turn)),
        ey - 0.32 * shown * (dx * Math.sin(turn) + dy * Math.cos(turn)),
      ];
      const shape = `M${place([x, y])}L${place([ex, ey])}M${place(head(0.5))}L${place([ex, ey])}L${place(head(-0.5))}`;
      return `<path d="${shape}" stroke="#343a40" stroke-width="0.9" stroke-linecap="round" fill="none" opacity="0.75"/>`;
    })
    .join("");
}

/** A density as colours; its square root, so that what is thin is seen too. */
function pngOf(density: readonly number[]): string {
  const largest = density.reduce((a, b) => Math.max(a, b), 0) || 1;
  const colours = shades.map((shade) => [1, 3, 5].map((at) => Number.parseInt(shade.slice(at, at + 2), 16)));
  const data = new Uint8Array(3 * density.length);
  for (const [i, value] of density.entries()) {
    const at = Math.sqrt(value / largest) * (colours.length - 1);
    const low = Math.min(Math.floor(at), colours.length - 2);
    for (const channel of [0, 1, 2])
      data[3 * i + channel] = Math.round(
        colours[low]![channel]! + (at - low) * (colours[low + 1]![channel]! - colours[low]![channel]!),
      );
  }
  const bytes = encodePng({ width: pixels, height: pixels, channels: 3, data });
  return `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;
}
