// A loss of one's own: a task is weights, batches and a loss, and `train` does the rest. This one trains a denoiser of single numbers
// by the pseudo-Huber distance sqrt(e^2 + c^2) - c, which large errors dominate less. `npx tsx examples/outside/own-loss.ts`
import { collect, ddim, openBackend, trained } from "guidestar";
import { ddpmProcess, denoiserPredictor, draw, qSample } from "guidestar/diffusion";
import { initialize, linear, module, timestepEmbedding } from "guidestar/nn";
import { float32, normals, type Tensor } from "guidestar/tensor";
import { noiseSampler, train } from "guidestar/training";

const parts = { time: linear(32, 64), first: linear(1, 64), last: linear(64, 1) };
const network = module(parts, ({ time, first, last }, x: Tensor, t: Tensor) => {
  const told = time(timestepEmbedding(t, 32));
  return last(first(x.reshape(-1, 1)).add(told).silu()).reshape(-1, 1, 1, 1);
});
const process = ddpmProcess({ steps: 200, prediction: "x0" });
const noiseOf = noiseSampler(process);
await using backend = await openBackend();

const training = train(
  {
    weights: initialize(network, 0),
    batchAt(step) {
      const x0 = normals(1, step, 256).map((z, i) => (i % 2 ? 0.6 : -0.4) + 0.05 * z); // around -0.4 and around 0.6
      return { x0: float32([256, 1, 1, 1], x0), ...noiseOf(step, [256, 1, 1, 1]) };
    },
    loss(params, { x0, noise, coefficients: c }) {
      const error = network(params, qSample(x0, noise, c), c.timestep).sub(x0);
      return { objective: error.square().add(0.01).sqrt().sub(0.1).reshape(-1) };
    },
  },
  { backend, steps: 1000, learningRate: 0.01, emaRate: 0.98 },
);

const settings = { process, sampler: ddim(), shape: [1, 1, 1], count: 500, batchSize: 500, backend };
const predictor = (weights: Record<string, Tensor>) => denoiserPredictor(network.withParameters(weights), process);
const { data } = await collect(draw({ weights: await trained(training), predictor, ...settings }));
const near = (value: number) => data.filter((x) => Math.abs(x - value) < 0.2).length;
console.log(`of 500 numbers ${near(-0.4)} are near -0.4 and ${near(0.6)} near 0.6`);
