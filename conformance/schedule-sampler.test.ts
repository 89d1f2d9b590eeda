import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { timestepSampler } from "../src/diffusion/timestep-sampler.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";

const reference = readNpz(readFileSync(new URL("data/schedule_sampler.npz", import.meta.url)));
const numbers = (name: string): Float64Array => arrayOf(reference, name, "float64").data;

/** Weights of the reference need not add up to 1. */
function expectProportional(actual: Float64Array, weights: Float64Array): void {
  const total = weights.reduce((a, b) => a + b, 0);
  for (const [i, weight] of weights.entries()) expect(Math.abs(actual[i]! / (weight / total) - 1)).toBeLessThan(1e-12);
}

test("loss-second-moment importance sampling while histories fill, and after", () => {
  const indices = Array.from(arrayOf(reference, "t", "int64").data, Number);
  const steps = numbers("weights_partial").length;
  const filling = timestepSampler("loss-second-moment", steps).after(indices, numbers("loss"));
  expectProportional(filling.probabilities(), numbers("weights_partial"));

  const history = [...numbers("history")];
  const perStep = history.length / steps;
  const state = Array.from({ length: steps }, (_, i) => history.slice(i * perStep, (i + 1) * perStep));
  expectProportional(timestepSampler("loss-second-moment", steps, state).probabilities(), numbers("weights_full"));
});
