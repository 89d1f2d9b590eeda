// Three ways to write the same diffusion: v-prediction on the cosine schedule, flow matching, and EDM's preconditioning of noise that
// explodes. Each network is trained for a moment, then draws in 20 steps. `npx tsx examples/08-parametrizations.ts flow.png`
import {
  type Denoiser,
  ddpmProcess,
  draw,
  edmProcess,
  euler,
  flowProcess,
  guide,
  type ProcessConfig,
  samplingSchedule,
} from "guidestar/diffusion";
import { initialize } from "guidestar/nn";
import { openBackend } from "guidestar/node";
import type { Tensor } from "guidestar/tensor";
import { trainDenoiser, trained } from "guidestar/training";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { distanceTo, logDensity, moons } from "./support/plane.ts";
import { endsOf, noisePoints, ofPoints, onPoints, type Parameters, pathsOf, perceptron } from "./support/run.ts";

const mixture = { ...moons(), labels: moons().labels.map(() => 0) };
const network = perceptron(2);
/** Timesteps are about 0 ... 1000, and smaller where noise explodes. */
const denoise = (weights: Parameters, x: Tensor, t: Tensor): Tensor =>
  network(weights, x, t.mul(0.01)).reshape(-1, 2, 1, 1);

const processes: [string, ProcessConfig][] = [
  ["v-prediction, cosine schedule", ddpmProcess({ prediction: "v" })],
  ["flow matching", flowProcess()],
  ["variance-exploding, EDM", edmProcess({ sigmaRange: [0.02, 10], sigmaData: 0.6 })],
];

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const panels: Panel[] = [];
for (const [name, process] of processes) {
  const training = trainDenoiser({
    backend,
    network: denoise,
    weights: initialize(network, 0),
    process,
    ...onPoints(mixture, 128),
    steps: 400,
  });
  const sampler = euler({ steps: 20, levels: "chain" });
  const { alpha, sigma } = samplingSchedule(process, sampler).levels.at(-1)!;
  const noise = noisePoints(300, Math.hypot(alpha, sigma));
  const drawing = draw({
    ...ofPoints,
    backend,
    weights: await trained(training),
    predictor: (weights) => {
      const denoiser: Denoiser = (x, t) => denoise(weights, x, t);
      return guide({ denoiser, process }, { form: "score", clip: false });
    },
    process,
    sampler,
    start: { kind: "latents", x: noise },
    count: 300,
  });
  const paths = await pathsOf(noise, drawing);
  const points = endsOf(paths);
  const away = points.reduce((sum, point) => sum + distanceTo(mixture, point, 0), 0) / points.length;
  console.log(`${name}: ${away.toFixed(3)} from the half-moons`);
  panels.push({
    title: name,
    density: densityOf((point) => logDensity(mixture, point)),
    paths: paths.slice(0, 50),
    points,
    labels: points.map(() => 0),
  });
}
await savePicture(globalThis.process.argv[2] ?? "out/parametrizations.png", panels);
