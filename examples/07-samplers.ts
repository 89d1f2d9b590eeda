// One model, one start, several samplers of about twenty evaluations. `npx tsx examples/07-samplers.ts samplers.png`
import { ddim, ddpm, makeSampler, openBackend, type Sampler } from "../src/index.ts";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { exactPredictor, logDensity, moons, type Point } from "./support/plane.ts";
import { cosine, walk } from "./support/run.ts";

const mixture = moons();
const exact = exactPredictor(mixture, cosine, false);

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const labels = Array.from({ length: 200 }, (_, i) => i % 2);
const drawn = (sampler: Sampler) => walk({ backend, process: cosine, sampler, labels, predictor: () => exact });
const distance = (a: readonly Point[], b: readonly Point[]): number =>
  Math.sqrt(a.reduce((sum, [x, y], i) => sum + (x - b[i]![0]) ** 2 + (y - b[i]![1]) ** 2, 0) / a.length);

const levels = "karras";
// What all solvers of the same equation come to, with many steps.
const truth = (await drawn(makeSampler("heun", { steps: 100, levels }))).at(-1)!;
const samplers: [string, Sampler, solves: boolean][] = [
  ["Euler, 20 steps", makeSampler("euler", { steps: 20, levels }), true],
  ["Heun, 10 steps", makeSampler("heun", { steps: 10, levels }), true],
  ["DPM-Solver++(2M), 20 steps", makeSampler("dpm++2m", { steps: 20, levels }), true],
  ["DDIM, 20 steps of the chain", ddim({ steps: 20 }), false],
  ["DDPM, 20 steps of the chain", ddpm({ steps: 20 }), false],
  ["predictor-corrector, 10 steps", makeSampler("pc", { steps: 10, levels: "chain", snr: 0.3 }), false],
];
const panels: Panel[] = [];
for (const [name, sampler, solves] of samplers) {
  const path = await drawn(sampler);
  const end = path.at(-1)!;
  if (solves) console.log(`${name}: ${distance(end, truth).toFixed(3)} from where the equation leads`);
  const likely = end.filter((point) => logDensity(mixture, point) > -3).length;
  console.log(`${name}: ${likely} of ${end.length} where there are data`);
  panels.push({
    title: name,
    density: densityOf((point) => logDensity(mixture, point)),
    paths: labels
      .slice(0, name.includes("DDPM") || name.includes("corrector") ? 6 : 40)
      .map((_, i) => path.map((points) => points[i]!)),
    points: end,
    labels: labels.map(() => 0),
  });
}
await savePicture(process.argv[2] ?? "out/samplers.png", panels, { columns: 3 });
