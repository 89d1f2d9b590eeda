import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Chart } from "../../src/evaluation/chart/chart.ts";
import { chartSvg } from "../../src/evaluation/chart/draw.ts";
import { boundCsv } from "../../src/evaluation/likelihood/bound.ts";

const chart = (points: [number, number][], more: Partial<Chart> = {}): Chart => ({
  title: "a & b < c",
  xLabel: "timestep",
  panels: [{ label: "bits", lines: [{ label: "vb", color: "#123456", points }] }],
  ...more,
});

/** Coordinates of the line of a colour, one list for each piece. */
const lineOf = (svg: string): number[][][] => {
  const path = /<path d="([^"]*)" fill="none" stroke="#123456"/.exec(svg)![1]!;
  return path
    .split("M")
    .filter((piece) => piece !== "")
    .map((piece) => piece.split("L").map((point) => point.split(" ").map(Number)));
};
/** Texts at the left of the y axis. */
const labelsOf = (svg: string): string[] =>
  [...svg.matchAll(/<text [^>]*text-anchor="end"[^>]*>(.*?)<\/text>/g)].map(([, label]) => label!);

describe("chartSvg", () => {
  test("on a linear axis equal differences are equal distances, below zero too", () => {
    const points: [number, number][] = [
      [0, -0.5],
      [1, 0.25],
      [2, 1],
    ];
    const lines = [{ label: "vb", color: "#123456", points }];
    const svg = chartSvg(chart([], { panels: [{ label: "share", scale: "linear", lines }] }));
    const [[a, b, c] = []] = lineOf(svg);
    expect(b![1]! - a![1]!).toBeCloseTo(c![1]! - b![1]!, 1);
    expect(c![1]!).toBeLessThan(a![1]! - 100);
    expect(labelsOf(svg)).toEqual(["\u22120.5", "0.0", "0.5", "1.0"]);
  });

  test("a panel may have an x axis of its own; a legend names the lines once", async () => {
    const line = (label: string, color: string, points: [number, number][]) => ({ label, color, points });
    const own = [
      line("one", "#123456", [
        [0.2, 0.9],
        [0.8, 0.1],
      ]),
      line("two", "#654321", [[0.4, 0.5]]),
    ];
    const common = [
      line("one", "#123456", [
        [0, 1],
        [10, 2],
      ]),
    ];
    const svg = chartSvg({
      title: "t",
      xLabel: "scale",
      legend: own,
      panels: [
        { label: "precision", xLabel: "recall", scale: "linear", lines: own },
        { label: "fid", lines: common },
      ],
    });
    const paths = [
      ...svg.matchAll(/<path d="M([\d.]+) [\d.]+L([\d.]+) [\d.]+" fill="none" stroke="#123456" stroke-width="2"/g),
    ];
    // Both run from the left end of their axis to the right one.
    expect(paths.map(([, from]) => Number(from))).toEqual([92, 92]);
    expect(Number(paths[0]![2])).toBeCloseTo(Number(paths[1]![2]), 0);
    for (const name of ["recall", "scale", "one", "two"]) expect(svg.split(`>${name}<`)).toHaveLength(2);
    expect((await sharp(Buffer.from(svg)).metadata()).format).toBe("svg");
  });

  test("equal factors are equal distances", () => {
    const [line] = lineOf(
      chartSvg(
        chart([
          [0, 100],
          [1, 10],
          [2, 1],
          [3, 0.1],
        ]),
      ),
    );
    const steps = line!.slice(1).map(([x, y], i) => [x! - line![i]![0]!, y! - line![i]![1]!]);
    for (const [x, y] of steps) {
      expect(x).toBeCloseTo(steps[0]![0]!, 1);
      expect(y).toBeCloseTo(steps[0]![1]!, 1);
      expect(y).toBeGreaterThan(20); // downwards on the screen
    }
  });

  test("labels are of one kind, and lie where their value does", () => {
    expect(
      labelsOf(
        chartSvg(
          chart([
            [0, 0.02],
            [1, 120],
          ]),
        ),
      ),
    ).toEqual(["0.1", "1", "10", "100"]);
    expect(
      labelsOf(
        chartSvg(
          chart([
            [0, 0.5e-5],
            [1, 2],
          ]),
        ),
      )[0],
    ).toMatch(/^10<tspan .*>−5<\/tspan>$/);
    expect(
      labelsOf(
        chartSvg(
          chart([
            [0, 1.1],
            [1, 1.6],
          ]),
        ),
      ).length,
    ).toBeGreaterThanOrEqual(2);
    const svg = chartSvg(
      chart([
        [0, 1],
        [1, 100],
      ]),
    );
    const [[, first], [, second]] = lineOf(svg)[0]! as [[number, number], [number, number]];
    const at = (label: string) => Number(new RegExp(`y="([\\d.]+)"[^>]*>${label}</text>`).exec(svg)![1]) - 4;
    expect(at("1")).toBeCloseTo(first, 1);
    expect(at("100")).toBeCloseTo(second, 1);
  });

  test("values without a logarithm leave a gap", () => {
    expect(
      lineOf(
        chartSvg(
          chart([
            [0, 1],
            [1, 2],
            [2, 0],
            [3, -1],
            [4, 2],
          ]),
        ),
      ).map((piece) => piece.length),
    ).toEqual([2, 1]);
  });

  test.each([
    ["one point", [[5, 1]]],
    ["nothing", []],
    [
      "nothing positive",
      [
        [0, 0],
        [1, 0],
      ],
    ],
    [
      "many decades",
      [
        [0, 1e-30],
        [1, 1e12],
      ],
    ],
  ] as [string, [number, number][]][])("is a picture of numbers: %s", async (_, points) => {
    const svg = chartSvg(chart(points, { subtitle: "x" }));
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    const { width, height } = await sharp(Buffer.from(svg)).metadata();
    expect(width).toBeGreaterThan(400);
    expect(height).toBeGreaterThan(200);
  });

  test("text is escaped, and several lines are named", () => {
    const line = { color: "#123456", points: [[0, 1]] as [number, number][] };
    const svg = chartSvg(
      chart([], {
        panels: [
          {
            label: "<y>",
            lines: [
              { ...line, label: "one" },
              { ...line, label: "two" },
            ],
          },
        ],
      }),
    );
    expect(svg).toContain("a &amp; b &lt; c");
    expect(svg).toContain("&lt;y&gt;");
    expect(svg).toContain(">one</text>");
    expect(svg).toContain(">two</text>");
  });
});

test("boundCsv: a line for each timestep", () => {
  const terms = [
    { timestep: 0, vb: 0.5, xstartMse: 1e-7, mse: 2 },
    { timestep: 19, vb: 0.25, xstartMse: 1, mse: 0.125 },
  ];
  expect(boundCsv({ terms })).toBe("timestep,vb,xstart_mse,mse\n0,0.5,1e-7,2\n19,0.25,1,0.125\n");
});

describe("errors, names and levels", () => {
  const numbers = (text: string): number[] => [...text.matchAll(/-?[\d.]+/g)].map(([value]) => Number(value));
  /** The bars of a chart, as the two ends of each. */
  const barsOf = (svg: string) =>
    [...svg.matchAll(/<path d="(M[^"]*)" stroke="#123456" stroke-opacity/g)].map(([, path]) =>
      numbers(path!).slice(0, 4),
    );
  const line = { label: "one", color: "#123456" };

  test("a bar reaches as far as the error, in both directions, and the axis holds it", () => {
    const points: [number, number][] = [
      [0, 1],
      [10, 3],
    ];
    const errors: [number, number][] = [
      [0, 0.5],
      [2, 1],
    ];
    const lines = [{ ...line, points, errors }];
    const svg = chartSvg(chart([], { panels: [{ label: "y", scale: "linear", lines }] }));
    const [[a, b] = []] = lineOf(svg);
    const perUnit = (a![1]! - b![1]!) / 2;
    const [first, second, third] = barsOf(svg);
    expect(first![1]! - first![3]!).toBeCloseTo(perUnit, 1);
    expect(second![1]! - second![3]!).toBeCloseTo(2 * perUnit, 1);
    expect(third![2]! - third![0]!).toBeCloseTo((4 * (b![0]! - a![0]!)) / 10, 1);
    for (const [x1, y1, x2, y2] of [first!, second!, third!] as [number, number, number, number][]) {
      expect(Math.min(x1, x2)).toBeGreaterThanOrEqual(84);
      expect(Math.min(y1, y2)).toBeGreaterThanOrEqual(92);
      expect(Math.max(y1, y2)).toBeLessThanOrEqual(342);
    }
  });

  test("on a logarithmic axis a bar that reaches zero ends at the axis; no error, no bar", () => {
    const lines = [
      {
        ...line,
        points: [
          [0, 1],
          [1, 2],
          [2, 3],
        ],
        errors: [
          [0, 1.5],
          [0, 0],
          [0, Number.NaN],
        ],
      },
    ] as const;
    const svg = chartSvg(chart([], { panels: [{ label: "y", lines }] }));
    const bars = barsOf(svg);
    expect(bars).toHaveLength(1);
    expect(bars[0]![1]).toBeCloseTo(342, 0);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  test("shares are as far apart as their odds are, and 99% has a tick", () => {
    const points: [number, number][] = [
      [0, 0.1],
      [1, 0.9],
      [2, 0.99],
      [3, 0.999],
    ];
    const svg = chartSvg(chart([], { panels: [{ label: "share", scale: "share", lines: [{ ...line, points }] }] }));
    const ys = lineOf(svg)[0]!.map(([, y]) => y!);
    const odds = points.map(([, p]) => Math.log(p / (1 - p)));
    const scale = (ys[0]! - ys[3]!) / (odds[3]! - odds[0]!);
    for (const i of [1, 2]) expect(ys[0]! - ys[i]!).toBeCloseTo(scale * (odds[i]! - odds[0]!), 1);
    expect(labelsOf(svg)).toEqual(expect.arrayContaining(["10%", "50%", "90%", "99%"]));
    const narrow = [
      [0, 0.62],
      [1, 0.64],
    ] as [number, number][];
    const few = chartSvg(
      chart([], { panels: [{ label: "share", scale: "share", lines: [{ ...line, points: narrow }] }] }),
    );
    expect(labelsOf(few).length).toBeGreaterThanOrEqual(3);
  });

  test("names stand beside their points, and a level at its value", () => {
    const points: [number, number][] = [
      [0, 0],
      [1, 4],
    ];
    const lines = [{ ...line, points, names: ["a<b", "second"] }];
    const levels = [{ label: "real", y: 2, error: 1 }];
    const svg = chartSvg(chart([], { panels: [{ label: "y", scale: "linear", lines, levels }] }));
    expect(svg).toContain(">a&lt;b</text>");
    const [[a, b] = []] = lineOf(svg);
    const middle = (a![1]! + b![1]!) / 2;
    expect(numbers(/<path d="(M[^"]*)"[^>]*stroke-dasharray/.exec(svg)![1]!)[1]).toBeCloseTo(middle, 1);
    const [, height] = /<rect [^>]*height="([\d.]+)"[^>]*fill-opacity/.exec(svg)!;
    expect(Number(height)).toBeCloseTo((a![1]! - b![1]!) / 2, 1);
    expect(svg).toContain(">real</text>");
  });
});
