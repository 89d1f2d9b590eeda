import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { noiseSchedule } from "../src/diffusion/noise-schedule.ts";
import type { Schedule } from "../src/diffusion/schedule.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";

const reference = readNpz(readFileSync(new URL("data/schedules.npz", import.meta.url)));
const chains = [...new Set(Object.keys(reference).map((name) => name.split("/")[0]!))];

test.each(chains)("float64 tables of %s", (name) => {
  const [schedule, steps] = name.split("_") as [Schedule, string];
  const chain = noiseSchedule({
    schedule,
    steps: Number(steps),
    prediction: "eps",
    variance: "learned-range",
    rescaleTimesteps: false,
  });
  const { tables, betas } = chain;
  const square = (values: Float64Array): Float64Array => values.map((v) => v ** 2);
  const ours = {
    betas,
    alphas_cumprod: square(tables.alpha),
    alphas_cumprod_prev: square(tables.alphaPrevious),
    alphas_cumprod_next: square(tables.alphaNext),
    posterior_variance: tables.posteriorVariance,
    posterior_log_variance_clipped: tables.posteriorLogVariance,
    posterior_mean_coef1: tables.posteriorX0,
    posterior_mean_coef2: tables.posteriorXt,
  };
  for (const [table, values] of Object.entries(ours)) {
    const expected = arrayOf(reference, `${name}/${table}`, "float64").data;
    expect(values.length).toBe(expected.length);
    const worst = expected.reduce(
      (top, x, i) => Math.max(top, Math.abs(values[i]! - x) / Math.max(Math.abs(x), 1e-300)),
      0,
    );
    expect(worst, table).toBeLessThan(1e-12);
  }
});
