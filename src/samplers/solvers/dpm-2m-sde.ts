import { defineSampler } from "../sampler.ts";
import { dpmSolver2m } from "./dpm.ts";
import { eta } from "./eta.ts";

/** SDE-DPM-Solver++(2M) of the appendix of Lu et al. 2022b; with an `eta` below 1 less noise is added. */
export const dpm2mSde = defineSampler({
  kind: "dpm++2m-sde",
  note: "DPM-Solver++ of second order, at random",
  settings: { eta: eta(1) },
  steps: 20,
  levels: "karras",
  solver: dpmSolver2m,
});
