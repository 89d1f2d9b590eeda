import { defineSampler } from "../sampler.ts";
import { dpmSolver2m } from "./dpm.ts";

/** DPM-Solver++(2M), algorithm 2 of Lu et al. 2022b: second order, and deterministic. */
export const dpm2m = defineSampler({
  kind: "dpm++2m",
  note: "DPM-Solver++ of second order, for the probability flow",
  settings: {},
  steps: 10,
  levels: "karras",
  solver: (schedule) => dpmSolver2m(schedule, { eta: 0 }),
});
