// A conditional diffusion model of points in the plane, from its network to guided samples. `npx tsx examples/02-points.ts`
// A point is an image of two channels and one pixel, so whatever is made for images serves. The two classes are two half-moons.
import { collect, ddim, ddpmProcess, draw, guide } from "guidestar/diffusion";
import { embedding, initialize, linear, module, silu, timestepEmbedding } from "guidestar/nn";
import { openBackend } from "guidestar/node";
import { float32, int32, integers, normals, type Tensor, uniforms } from "guidestar/tensor";
import { trainDenoiser } from "guidestar/training";

/** The class of a half-moon as a sign: the second is the first turned about the origin. */
const side = (label: number): number => 1 - 2 * label;

/** Points [N, 2, 1, 1] and their classes [N]: others for every step, the same whenever asked. */
function moons(step: number, count: number) {
  const y = Int32Array.from(integers(1, step, count, 2));
  const turns = uniforms(2, step, count);
  const points = Array.from(y).flatMap((label, i) => {
    const angle = Math.PI * turns[i]!;
    return [(Math.cos(angle) - 0.5) * side(label), (Math.sin(angle) - 0.25) * side(label)];
  });
  const jitter = normals(3, step, 2 * count);
  return {
    x: float32(
      [count, 2, 1, 1],
      points.map((value, i) => 0.6 * value + 0.02 * jitter[i]!),
    ),
    y: int32([count], y),
  };
}

// 1. The network: any function of weights, x_t, timestep and label. The label 2 stands for no class.
const width = 64;
const network = module(
  {
    time: linear(32, width),
    label: embedding(3, width),
    first: linear(2, width),
    middle: linear(width, width),
    last: linear(width, 2),
  },
  (layers, x: Tensor, t: Tensor, { label }: { label?: Tensor<"int32"> | undefined }) => {
    const told = layers.time(timestepEmbedding(t, 32)).add(layers.label(label!)); // [N, width]
    const h = silu(layers.first(x.reshape(-1, 2)).add(told));
    return layers.last(silu(layers.middle(h).add(told))).reshape(-1, 2, 1, 1);
  },
);
const process = ddpmProcess();

// 2. Training. One label in ten is hidden, so that one network gives conditional and unconditional predictions.
// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
let weights = initialize(network, 0);
const training = trainDenoiser({
  backend,
  network,
  weights,
  process,
  batchAt: (step) => moons(step, 256),
  classes: 2,
  labelDropout: 0.1,
  steps: 1500,
  learningRate: 1e-2,
  decay: "cosine",
  emaRate: 0.99,
  seed: 0,
});
for await (const event of training) {
  if (event.kind === "step" && event.step % 500 === 0)
    console.log(`step ${event.step}  loss ${event.loss.toFixed(3)}  ${event.imagesPerSecond.toFixed(0)} points/s`);
  if (event.kind === "done") weights = event.averaged;
}

// 3. From noise to points, half of them of each class, by DDIM under classifier-free guidance.
const count = 400;
const labels = Array.from({ length: count }, (_, i) => i % 2);
const drawing = draw({
  weights,
  predictor: (weights) => {
    const denoiser = network.withParameters(weights);
    return guide({ denoiser, process, nullLabel: 2 }, { cfgScale: 1.5, form: "score" });
  },
  process,
  sampler: ddim({ steps: 50 }),
  shape: [2, 1, 1],
  labels,
  count,
  batchSize: count,
  backend,
});
const { data } = await collect(drawing);

// 4. What came out.
const [columns, rows] = [60, 24];
const canvas = Array.from({ length: rows }, () => new Array<string>(columns).fill(" "));
const cell = (value: number, cells: number): number =>
  Math.min(Math.max(Math.floor(((value + 1) / 2) * cells), 0), cells - 1);
const errors = labels.map((label, i) => {
  const [px, py] = [data[2 * i]!, data[2 * i + 1]!];
  canvas[cell(-py, rows)]![cell(px, columns)] = "ox"[label]!;
  // How far from the half circle of its class.
  return Math.abs(Math.hypot(px / 0.6 + 0.5 * side(label), py / 0.6 + 0.25 * side(label)) - 1) * 0.6;
});
console.log(canvas.map((row) => row.join("")).join("\n"));
console.log(`${errors.filter((error) => error < 0.1).length} of ${count} points lie on the half-moon of their class`);
