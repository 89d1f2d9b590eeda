// A network of one's own: any traced function of weights, noisy images, their timesteps and classes. It is trained on small pictures,
// dark ones of class 0 and light ones of class 1, and drawn with. `npx tsx examples/outside/own-network.ts`
// To save and load it, and for the command line, it becomes a family: `registerFamily` of guidestar/models.
import { collect, ddim, openBackend, trainDenoiser, trained } from "guidestar";
import { type Condition, ddpmProcess, denoiserPredictor, draw } from "guidestar/diffusion";
import { embedding, initialize, linear, module, timestepEmbedding } from "guidestar/nn";
import { float32, int32, normals, type Tensor } from "guidestar/tensor";

const width = 64;
const network = module(
  { time: linear(32, width), class: embedding(2, width), first: linear(16, width), last: linear(width, 16) },
  (layers, x: Tensor, t: Tensor, { label }: Condition) => {
    const told = layers.time(timestepEmbedding(t, 32)).add(layers.class(label!)); // [N, width]
    return layers.last(layers.first(x.reshape(-1, 16)).add(told).silu()).reshape(-1, 1, 4, 4);
  },
);

/** The batch of an update: grey squares of -0.5 or 0.5, and a little noise in every pixel. */
function batchAt(step: number) {
  const labels = Array.from({ length: 64 }, (_, i) => i % 2);
  const pixels = normals(1, step, 64 * 16).map((z, i) => labels[i >> 4]! - 0.5 + 0.1 * z);
  return { x: float32([64, 1, 4, 4], pixels), y: int32([64], labels) };
}

const process = ddpmProcess({ steps: 200, prediction: "x0" });
await using backend = await openBackend();
const settings = { backend, steps: 400, learningRate: 0.01, emaRate: 0.98 };
const start = initialize(network, 0);
const weights = await trained(trainDenoiser({ network, weights: start, process, batchAt, classes: 2, ...settings }));

const drawing = draw({
  weights,
  predictor: (weights) => denoiserPredictor(network.withParameters(weights), process),
  ...{ process, sampler: ddim({ steps: 20 }), shape: [1, 4, 4], labels: [0, 1], count: 8, backend },
});
const { data } = await collect(drawing);
const means = [0, 1].map((label) => data.filter((_, i) => (i >> 4) % 2 === label).reduce((sum, x) => sum + x / 64, 0));
console.log(`dark ${means[0]!.toFixed(2)}, light ${means[1]!.toFixed(2)}`);
