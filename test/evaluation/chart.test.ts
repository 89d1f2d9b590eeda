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
