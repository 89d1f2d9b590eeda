// A score network, and what annealing is for: Langevin dynamics, annealed Langevin dynamics, predictor and corrector.
// `npx tsx examples/09-score-network.ts score.png`. After figures 2 and 3 of Song & Ermon 2019: one half-moon has a fifth of the data.
import {
  collect,
  type DrawOptions,
  draw,
  edmProcess,
  langevin,
  predictorCorrector,
  scorePredictor,
} from "guidestar/diffusion";
import { initialize } from "guidestar/nn";
import { openBackend } from "guidestar/node";
import { full, type Tensor } from "guidestar/tensor";
import { trained, trainScore } from "guidestar/training";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { distanceTo, logDensity, moons, type Point } from "./support/plane.ts";
import {
  lattice,
  noisePoints,
  ofPoints,
  onPoints,
  type Parameters,
  perceptron,
  pointsOf,
  valuesAt,
} from "./support/run.ts";

const even = moons();
const mixture = { ...even, weights: even.labels.map((label) => (label === 0 ? 0.4 : 1.6) / even.labels.length) };
const sigmaRange = [0.03, 8] as const;
const network = perceptron(2);

/** A network that gives -sigma score, and sees x as large at every sigma. Technique 3, Song & Ermon 2020. */
function score(weights: Parameters, x: Tensor, sigma: Tensor): Tensor {
  const each = (values: Tensor): Tensor => values.reshape(-1, 1, 1, 1);
  const seen = x.div(each(sigma.square().add(0.4).sqrt()));
  return network(weights, seen, sigma.log().mul(2)).reshape(-1, 2, 1, 1).div(each(sigma)).neg();
}

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const training = trainScore({
  backend,
  network: score,
  weights: initialize(network, 0),
  sigmaRange,
  ...onPoints(mixture, 256),
  steps: 700,
});
const weights = await trained(training);

const panels: Panel[] = [];
const at = lattice(17, 1.3);
for (const sigma of [0.5, 0.1]) {
  const field = await valuesAt(backend, at, (x, weights) => score(weights, x, full([at.length], sigma)), weights);
  panels.push({
    title: `the network's score, sigma = ${sigma}`,
    density: densityOf((point) => logDensity(mixture, point, { alpha: 1, sigma })),
    arrows: { at, by: pointsOf(field) },
  });
}

type Choices = Pick<DrawOptions, "sampler" | "start">;
async function show(name: string, range: readonly [number, number], choices: Choices): Promise<void> {
  const process = edmProcess({ sigmaRange: range, prediction: "eps" });
  const drawing = draw({
    ...ofPoints,
    ...choices,
    backend,
    weights,
    predictor: (weights) => scorePredictor((x, sigma) => score(weights, x, sigma), process),
    process,
    count: 400,
  });
  const points = pointsOf((await collect(drawing)).data);
  const classOf = (point: Point): number => (distanceTo(mixture, point, 0) < distanceTo(mixture, point, 1) ? 0 : 1);
  const classes = points.map(classOf);
  const small = classes.filter((label) => label === 0).length / points.length;
  const away = points.reduce((sum, point, i) => sum + distanceTo(mixture, point, classes[i]!), 0) / points.length;
  console.log(`${name}: ${(100 * small).toFixed(0)}% on the upper half-moon, ${away.toFixed(3)} from the nearest`);
  panels.push({
    title: `${name}: ${(100 * small).toFixed(0)}% up`,
    density: densityOf((point) => logDensity(mixture, point)),
    points,
    labels: classes,
  });
}
const start = { kind: "latents", x: noisePoints(400, 1) } as const;
await show("Langevin at one level", [0.049, 0.05], { sampler: langevin({ steps: 1, corrections: 300 }), start });
await show("annealed Langevin", sigmaRange, { sampler: langevin({ steps: 60, corrections: 8 }) });
await show("predictor-corrector", sigmaRange, { sampler: predictorCorrector({ steps: 40, levels: "geometric" }) });
await savePicture(process.argv[2] ?? "out/score-network.png", panels, { columns: 5 });
