// A classifier of noisy points steers a model that knows no classes. `npx tsx examples/05-classifier-guidance.ts guided.png`
// Score and classifier are exact here: those of two half-moons, whose densities are formulas.
import { classifierGradient, classifierScore, collect, ddim, draw, type Predictor } from "guidestar/diffusion";
import { openBackend } from "guidestar/node";
import { constant, int32 } from "guidestar/tensor";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { exactLogits, exactPredictor, exactScore, levelsOf, logDensity, logPosterior, moons } from "./support/plane.ts";
import { cosine, lattice, ofPoints, pointsOf, valuesAt } from "./support/run.ts";

const mixture = { ...moons(), deviation: 0.1 };

/** The denoiser without a class, its score moved by scale times the classifier's gradient. */
const guided = (scale: number): Predictor => {
  const plain = exactPredictor(mixture, cosine, false);
  return (x, c, condition) => classifierScore(plain, (x) => exactLogits(mixture, x, c), { scale })(x, c, condition);
};

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const labels = Array.from({ length: 300 }, (_, i) => i % 2);
const panels: Panel[] = [];
for (const scale of [0, 1, 4]) {
  const drawing = draw({
    ...ofPoints,
    backend,
    predictor: () => guided(scale),
    process: cosine,
    sampler: ddim({ steps: 40 }),
    labels,
    count: labels.length,
  });
  const points = pointsOf((await collect(drawing)).data);
  const right = points.filter((point, i) => logPosterior(mixture, point, labels[i]!) > Math.log(0.5)).length;
  const sure = points.reduce((sum, point, i) => sum + logPosterior(mixture, point, labels[i]!), 0) / points.length;
  console.log(`scale ${scale}: ${right} of ${points.length} in their class, mean log p(y | x) ${sure.toFixed(4)}`);
  panels.push({
    title: `classifier scale ${scale}: ${((100 * right) / points.length).toFixed(0)}% in their class`,
    density: densityOf((point) => logDensity(mixture, point)),
    points,
    labels,
  });
}

// The guided score of the first class where there is a little noise: the other half-moon no longer attracts.
const level = { alpha: 0.97, sigma: 0.25 };
const at = lattice(17, 1.3);
const field = await valuesAt(backend, at, (x) => {
  const levels = levelsOf(level, at.length);
  const orange = constant(int32([at.length]));
  const gradient = classifierGradient((x) => exactLogits(mixture, x, levels), x, levels.sigma, orange);
  return exactScore(mixture, x, levels).add(gradient.mul(2));
});
panels.push({
  title: "score guided to orange, with noise",
  density: densityOf((point) => logDensity(mixture, point, level)),
  arrows: { at, by: pointsOf(field) },
});
await savePicture(process.argv[2] ?? "out/classifier-guidance.png", panels);
