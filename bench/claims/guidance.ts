import { dpm2m } from "../../src/samplers/solvers/dpm-2m.ts";
import type { Cell, Claim } from "./claim.ts";

const [free, told, alone] = ["classifier-free", "classifier, class told", "classifier alone, no class told"];
const [freeScales, toldScales, aloneScales] = [
  [1, 1.5, 2, 4, 8],
  [0, 1, 4, 16],
  [0, 2, 8, 16],
];

/** Guidance buys fidelity with diversity (Dhariwal & Nichol 2021; Ho & Salimans 2022). */
export const guidance: Claim = {
  about: "Guidance trades diversity for fidelity",
  xLabel: "scale of guidance",
  measures: ["precision", "recall", "fid", "accuracy"],
  cells({ model, options: { steps } }) {
    const sampler = dpm2m({ steps });
    const cell = (series: string, x: number, guidance: object): Cell => ({
      ...{ series, x, model: async () => model },
      settings: { sampler, guidance: { cfgScale: 1, classifierScale: 0, ...guidance } },
    });
    const alternatives = model.classifier
      ? [
          ...toldScales.map((x) => cell(told, x, { classifierScale: x })),
          ...aloneScales.map((x) => cell(alone, x, { unconditional: true, classifierScale: x })),
        ]
      : [];
    return [...freeScales.map((x) => cell(free, x, { cfgScale: x })), ...alternatives];
  },
  statements: (cells) =>
    [free, told, alone].flatMap((series) => {
      const own = cells.filter((cell) => cell.series === series);
      const [first, ...others] = own;
      if (!first || others.length === 0) return [];
      const [next, last] = [others[Math.floor(others.length / 2) - 1] ?? others[0]!, others.at(-1)!];
      return [
        {
          text: `${series}: precision rises at scale ${next.x}`,
          measure: "precision",
          from: first,
          to: next,
          goes: "up",
        },
        {
          text: `${series}: precision still rises to scale ${last.x}`,
          measure: "precision",
          from: next,
          to: last,
          goes: "up",
        },
        { text: `${series}: recall falls to scale ${last.x}`, measure: "recall", from: first, to: last, goes: "down" },
        { text: `${series}: FID first falls, at scale ${next.x}`, measure: "fid", from: first, to: next, goes: "down" },
        { text: `${series}: FID then rises, to scale ${last.x}`, measure: "fid", from: next, to: last, goes: "up" },
      ] as const;
    }),
};
