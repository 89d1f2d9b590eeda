// Three ways to write the same diffusion: v-prediction on the cosine schedule, flow matching, and EDM's preconditioning of noise that
// explodes. Each network is trained for a moment, then draws in 20 steps. `npx tsx examples/08-parametrizations.ts flow.png`
import {
  type Denoiser,
  guide,
  makeSampler,
  openBackend,
  type ProcessConfig,
  type Tensor,
  trainDenoiser,
} from "../src/index.ts";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { distanceTo, logDensity, moons } from "./support/plane.ts";
import { finish, onPoints, type Parameters, perceptron, startOf, walk } from "./support/run.ts";

const mixture = { ...moons(), labels: moons().labels.map(() => 0) };
const network = perceptron(2);
/** Timesteps are about 0 ... 1000, and smaller where noise explodes. */
const denoise = (weights: Parameters, x: Tensor, t: Tensor): Tensor =>
  network(weights, x, t.mul(0.01)).reshape(-1, 2, 1, 1);

const common = { steps: 1000, variance: "fixedSmall", rescaleTimesteps: false } as const;
const processes: [string, ProcessConfig][] = [
  ["v-prediction, cosine schedule", { ...common, schedule: "cosine", prediction: "v" }],
  ["flow matching", { ...common, schedule: "flow", prediction: "velocity" }],
  ["exploding noise, EDM", { ...common, schedule: "edm", prediction: "edm", sigmaRange: [0.02, 10], sigmaData: 0.6 }],
];

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const labels = new Array<number>(300).fill(0);
const panels: Panel[] = [];
for (const [name, process] of processes) {
  const weights = await finish(
    trainDenoiser({
      backend,
      network: denoise,
      weights: startOf(network),
      process,
      ...onPoints(mixture, 128),
      steps: 400,
    }),
  );
  const path = await walk({
    backend,
    process,
    sampler: makeSampler("euler", { steps: 20, levels: "chain" }),
    labels,
    weights,
    predictor: (weights) => {
      const denoiser: Denoiser = (x, t) => denoise(weights, x, t);
      return guide({ denoiser, process }, { form: "score", clip: false });
    },
  });
  const points = path.at(-1)!;
  const away = points.reduce((sum, point) => sum + distanceTo(mixture, point, 0), 0) / points.length;
  console.log(`${name}: ${away.toFixed(3)} from the half-moons`);
  panels.push({
    title: name,
    density: densityOf((point) => logDensity(mixture, point)),
    paths: labels.slice(0, 50).map((_, i) => path.map((points) => points[i]!)),
    points,
    labels,
  });
}
await savePicture(globalThis.process.argv[2] ?? "out/parametrizations.png", panels);
