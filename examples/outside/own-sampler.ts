// A sampler of one's own: Euler's method that makes new noise at every step, as `sample_euler_ancestral` of k-diffusion. Its pictures are
// of a distribution that is known, pixels of N(0, 1/4), so that the predictor is exact. `npx tsx examples/outside/own-sampler.ts`
import { collect, openBackend } from "guidestar";
import { coefficientRow, defineSampler, draw, edmProcess, linearSolver, perImage, predict } from "guidestar/diffusion";

const eulerAncestral = defineSampler({
  kind: "euler-ancestral",
  note: "Euler's method that makes new noise at every step",
  settings: {},
  steps: 200,
  levels: "karras",
  solver(schedule) {
    const steps = schedule.levels.map((from, index) => {
      const to = schedule.levels[index - 1] ?? { alpha: 1, sigma: 0 };
      const [r, end] = [from.sigma / from.alpha, to.sigma / to.alpha];
      const up = end * Math.sqrt(1 - (end / r) ** 2); // the new noise
      const down = end ** 2 / r ** 2; // what stays of the old
      // With z = x / alpha: z' = x0 + down (z - x0) + up noise.
      const next = { x: (to.alpha * down) / from.alpha, x0: to.alpha * (1 - down), noise: to.alpha * up };
      return [{ coefficients: coefficientRow(schedule, index), next }];
    });
    return linearSolver(steps.reverse());
  },
});

const process = edmProcess({ prediction: "x0" });
await using backend = await openBackend();
const drawing = draw({
  // The mean of x_0 given x_t = x_0 + sigma eps, x_0 of N(0, 1/4): x_t / (1 + 4 sigma^2).
  predictor: () => (x, c) => predict(x.div(perImage(c.sigma, x).square().mul(4).add(1)), x, c, process),
  process,
  sampler: eulerAncestral({ steps: 100 }),
  ...{ shape: [1, 8, 8], count: 64, batchSize: 64, backend },
});
const { data } = await collect(drawing);
const std = Math.sqrt(data.reduce((sum, value) => sum + value ** 2 / data.length, 0));
console.log(`pixels of standard deviation ${std.toFixed(2)}`);
