import { number } from "../../setting.ts";

/** Randomness of samplers that can do without: 0 solves the probability flow, 1 the reverse SDE. */
export const eta = (usual: number) =>
  number("randomness: 0 none, 1 as much as ancestral sampling", { from: 0, to: 1, off: 0, usual, cost: "none" });
