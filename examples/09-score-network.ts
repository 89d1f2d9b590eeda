// A score network, and what annealing is for: Langevin dynamics, annealed Langevin dynamics, predictor and corrector.
// `npx tsx examples/09-score-network.ts score.png`. After figures 2 and 3 of Song & Ermon 2019: one half-moon has a fifth of the data.
import {
  full,
  makeSampler,
  openBackend,
  type ProcessConfig,
  type Sampler,
  scorePredictor,
  type Tensor,
  trainScore,
} from "../src/index.ts";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { distanceTo, logDensity, moons, type Point } from "./support/plane.ts";
import {
  finish,
  lattice,
  onPoints,
  type Parameters,
  perceptron,
  pointsOf,
  startOf,
  valuesAt,
  walk,
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
const weights = await finish(
  trainScore({
    backend,
    network: score,
    weights: startOf(network),
    sigmaRange,
    ...onPoints(mixture, 256),
    steps: 700,
  }),
);

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

const labels = new Array<number>(400).fill(2);
const draw = async (
  name: string,
  sampler: Sampler,
  range: readonly [number, number],
  spread?: number,
): Promise<void> => {
  const process: ProcessConfig = {
    schedule: "edm",
    steps: 1000,
    sigmaRange: range,
    prediction: "eps",
    variance: "fixedSmall",
    rescaleTimesteps: false,
  };
  const predictor = (weights: Parameters) => scorePredictor((x, sigma) => score(weights, x, sigma), process);
  const points = (await walk({ backend, process, sampler, labels, weights, predictor, ...(spread && { spread }) })).at(
    -1,
  )!;
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
};
const corrections = 8;
await draw("Langevin at one level", makeSampler("langevin", { steps: 1, corrections: 300 }), [0.049, 0.05], 1);
await draw("annealed Langevin", makeSampler("langevin", { steps: 60, corrections }), sigmaRange);
await draw("predictor-corrector", makeSampler("pc", { steps: 40, levels: "geometric" }), sigmaRange);
await savePicture(globalThis.process.argv[2] ?? "out/score-network.png", panels, { columns: 5 });
