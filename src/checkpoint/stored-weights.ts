import { readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import type { Weights } from "./model.ts";

/** Weights as a detector's folder keeps them, in float16: what a detector sees depends on it, so statistics are taken with these. */
export const asStored = (weights: Weights): Weights =>
  readSafetensors(writeSafetensors(weights, { dtype: "float16" })).tensors;
