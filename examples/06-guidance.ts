// Four ways to ask for a class, with a model that is not quite right: as it is, classifier-free guidance, the same in an interval of
// noise levels, and autoguidance. `npx tsx examples/06-guidance.ts guidance.png`
// The model's score is exact, but of half-moons that are blurred; the weak model of autoguidance has them blurred more.
import { autoguidance, classifierFree, ddim, openBackend, type Predictor, type Tensor } from "../src/index.ts";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { coverage, distanceTo, exactPredictor, logDensity, moons } from "./support/plane.ts";
import { cosine, walk } from "./support/run.ts";

const mixture = moons();
const nullLabel = 2;
const blurred = (deviation: number): Predictor => exactPredictor({ ...mixture, deviation }, cosine);
const [strong, weak] = [blurred(0.12), blurred(0.3)];

const ways: [string, (scale: Tensor) => Predictor, (ratio: number) => number][] = [
  ["no guidance", () => strong, () => 1],
  ["classifier-free, scale 4", (scale) => classifierFree(strong, { scale, nullLabel }), () => 4],
  [
    "the same for sigma / alpha 0.2 to 1",
    (scale) => classifierFree(strong, { scale, nullLabel }),
    (ratio) => (ratio > 0.2 && ratio <= 1 ? 4 : 1),
  ],
  ["autoguidance, scale 2", (scale) => autoguidance(strong, weak, { scale }), () => 2],
];

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const labels = Array.from({ length: 400 }, (_, i) => i % 2);
const panels: Panel[] = [];
for (const [name, guided, scaleAt] of ways) {
  const walked = await walk({
    backend,
    process: cosine,
    sampler: ddim({ steps: 40 }),
    labels,
    predictor: (_, scale) => guided(scale),
    scaleAt,
  });
  const points = walked.at(-1)!;
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
