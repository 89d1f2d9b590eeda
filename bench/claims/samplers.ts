import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { dpm2m } from "../../src/samplers/solvers/dpm-2m.ts";
import { heun } from "../../src/samplers/solvers/heun.ts";
import type { Cell, Claim } from "./claim.ts";

/** Questions to the network; Heun asks it twice in a step, but for the last. */
const kinds = {
  ddpm: [5, 10, 25, 50].map((x) => ({ x, sampler: ddpm({ steps: x }) })),
  ddim: [5, 10, 25, 50].map((x) => ({ x, sampler: ddim({ steps: x }) })),
  heun: [5, 11, 25].map((x) => ({ x, sampler: heun({ steps: (x + 1) / 2 }) })),
  "dpm++2m": [5, 10, 25].map((x) => ({ x, sampler: dpm2m({ steps: x }) })),
} as const;
/** Those that a chain of steps alone has. */
const ofChains: readonly string[] = ["ddpm"];

/** DDIM needs fewer steps than ancestral sampling (Song et al. 2021), and solvers of higher order fewer still (Karras et al. 2022; Lu et al. 2022). */
export const samplers: Claim = {
  about: "DDIM needs fewer steps than DDPM, solvers of higher order fewer still",
  xLabel: "evaluations of the network",
  measures: ["fid", "precision", "recall", "accuracy"],
  cells({ model }) {
    const isChain = ["linear", "cosine"].includes(model.denoiser!.process.schedule as string);
    return Object.entries(kinds).flatMap(([series, places]) =>
      isChain || !ofChains.includes(series)
        ? places.map(
            ({ x, sampler }): Cell => ({
              ...{ series, x, model: async () => model },
              settings: { sampler, guidance: { cfgScale: 1, classifierScale: 0 } },
            }),
          )
        : [],
    );
  },
  statements(cells) {
    const at = (series: string, x: number) => cells.find((cell) => cell.series === series && cell.x === x);
    const less = (text: string, from: Cell | undefined, to: Cell | undefined) =>
      from && to ? [{ text, measure: "fid", from, to, goes: "down" } as const] : [];
    return [
      ...[5, 10, 50].flatMap((x) =>
        less(`${x} steps of DDIM are nearer to the data than of DDPM`, at("ddpm", x), at("ddim", x)),
      ),
      ...[5, 10].flatMap((x) =>
        less(`${x} steps of DPM-Solver++ are nearer than of DDIM`, at("ddim", x), at("dpm++2m", x)),
      ),
      ...less("10 steps of DPM-Solver++ are nearer than 50 of DDPM", at("ddpm", 50), at("dpm++2m", 10)),
      ...less("11 evaluations of Heun are nearer than 10 of DDIM", at("ddim", 10), at("heun", 11)),
    ];
  },
};
