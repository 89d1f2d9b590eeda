// A scalar energy network whose score is its negative gradient: exp(-energy) is a density, up to a factor. Training matches that
// gradient, so it differentiates twice. `npx tsx examples/10-energy.ts energy.png`
import { collect, draw, edmProcess, energyScore, predictorCorrector, scorePredictor } from "guidestar/diffusion";
import { initialize } from "guidestar/nn";
import { openBackend } from "guidestar/node";
import { full, type Tensor } from "guidestar/tensor";
import { trained, trainScore } from "guidestar/training";
import { densityOf, type Panel, pixels, savePicture } from "./support/picture.ts";
import { distanceTo, logDensity, moons } from "./support/plane.ts";
import { lattice, ofPoints, onPoints, type Parameters, perceptron, pointsOf, valuesAt } from "./support/run.ts";

const mixture = { ...moons(), labels: moons().labels.map(() => 0) };
const network = perceptron(1);

/** [N, 2, 1, 1] and sigma [N] -> [N]. */
function energy(weights: Parameters, x: Tensor, sigma: Tensor): Tensor {
  const seen = x.div(sigma.square().add(0.4).sqrt().reshape(-1, 1, 1, 1));
  return network(weights, seen, sigma.log().mul(2)).reshape(-1).div(sigma);
}
const score = (weights: Parameters, x: Tensor, sigma: Tensor): Tensor =>
  energyScore((x) => energy(weights, x, sigma), x);

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const sigmaRange = [0.05, 8] as const;
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
for (const sigma of [0.5, 0.15]) {
  const all = lattice(pixels, 1.3);
  const energies = await valuesAt(backend, all, (x, weights) => energy(weights, x, full([all.length], sigma)), weights);
  const at = lattice(17, 1.3);
  const field = await valuesAt(backend, at, (x, weights) => score(weights, x, full([at.length], sigma)), weights);
  // Where there are data, energy and log density should add up to a constant.
  const known = all.map((point) => logDensity(mixture, point, { alpha: 1, sigma }));
  const most = Math.max(...known);
  const near = known.flatMap((value, i) => (value > most - 3 ? [[value, value + energies[i]!] as const] : []));
  const share = spread(near.map(([, sum]) => sum)) / spread(near.map(([value]) => value));
  console.log(`sigma ${sigma}: energy explains ${(100 * (1 - share ** 2)).toFixed(1)}% of the log density's variance`);
  const least = energies.reduce((a, b) => Math.min(a, b));
  panels.push({
    title: `exp(-energy) and its score, sigma = ${sigma}`,
    density: Array.from(energies, (value) => Math.exp(least - value)),
    arrows: { at, by: pointsOf(field) },
  });
  panels.push({ title: "the density that it stands for", density: known.map(Math.exp) });
}

const process = edmProcess({ sigmaRange, prediction: "eps" });
const drawing = draw({
  ...ofPoints,
  backend,
  weights,
  predictor: (weights) => scorePredictor((x, sigma) => score(weights, x, sigma), process),
  process,
  sampler: predictorCorrector({ steps: 40, levels: "geometric" }),
  count: 300,
});
const points = pointsOf((await collect(drawing)).data);
const away = points.reduce((sum, point) => sum + distanceTo(mixture, point, 0), 0) / points.length;
console.log(`points drawn with it are ${away.toFixed(3)} from the half-moons`);
panels.push({
  title: "points drawn with it",
  density: densityOf((point) => logDensity(mixture, point)),
  points,
  labels: points.map(() => 0),
});
await savePicture(globalThis.process.argv[2] ?? "out/energy.png", panels);

function spread(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
