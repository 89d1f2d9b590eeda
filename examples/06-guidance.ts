// Four ways to ask for a class, with a model that is not quite right: as it is, classifier-free guidance, the same in an interval of
// noise levels, and autoguidance. `npx tsx examples/06-guidance.ts guidance.png`
// The model's score is exact, but of half-moons that are blurred; the weak model of autoguidance has them blurred more.
import {
  autoguidance,
  classifierFree,
  collect,
  type DrawOptions,
  ddim,
  draw,
  type Predictor,
} from "guidestar/diffusion";
import { openBackend } from "guidestar/node";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { coverage, distanceTo, exactPredictor, logDensity, moons } from "./support/plane.ts";
import { cosine, ofPoints, pointsOf } from "./support/run.ts";

const mixture = moons();
const nullLabel = 2;
const blurred = (deviation: number): Predictor => exactPredictor({ ...mixture, deviation }, cosine);
const [strong, weak] = [blurred(0.12), blurred(0.3)];

const plain = () => strong;
const free = () => classifierFree(strong, { scale: 4, nullLabel });
const isInside = (ratio: number): boolean => ratio > 0.2 && ratio <= 1;

const ways: [string, DrawOptions["predictor"]][] = [
  ["no guidance", plain],
  ["classifier-free, scale 4", free],
  ["the same for sigma / alpha 0.2 to 1", { at: ({ sigma, alpha }) => (isInside(sigma / alpha) ? free : plain) }],
  ["autoguidance, scale 2", () => autoguidance(strong, weak, { scale: 2 })],
];

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const labels = Array.from({ length: 400 }, (_, i) => i % 2);
const panels: Panel[] = [];
for (const [name, predictor] of ways) {
  const drawing = draw({
    ...ofPoints,
    backend,
    predictor,
    process: cosine,
    sampler: ddim({ steps: 40 }),
    labels,
    count: labels.length,
  });
  const points = pointsOf((await collect(drawing)).data);
  const away = points.reduce((sum, point, i) => sum + distanceTo(mixture, point, labels[i]!), 0) / points.length;
  const covered = coverage(mixture, points, labels);
  console.log(`${name}: ${away.toFixed(3)} from the half-moon, covers ${(100 * covered).toFixed(0)}% of it`);
  panels.push({
    title: name,
    density: densityOf((point) => logDensity(mixture, point)),
    points,
    labels,
  });
}
await savePicture(process.argv[2] ?? "out/guidance.png", panels);
