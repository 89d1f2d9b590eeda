// One model, one start, several samplers of about twenty evaluations. `npx tsx examples/07-samplers.ts samplers.png`
import { ddim, ddpm, dpm2m, draw, euler, heun, predictorCorrector, type Sampler } from "guidestar/diffusion";
import { openBackend } from "guidestar/node";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { exactPredictor, logDensity, moons, type Point } from "./support/plane.ts";
import { cosine, endsOf, noisePoints, ofPoints, pathsOf } from "./support/run.ts";

const mixture = moons();
const exact = exactPredictor(mixture, cosine, false);

// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });
const count = 200;
const noise = noisePoints(count, 1);
const start = { kind: "latents", x: noise } as const;
const drawn = (sampler: Sampler): Promise<Point[][]> =>
  pathsOf(noise, draw({ ...ofPoints, backend, predictor: () => exact, process: cosine, sampler, start, count }));
const distance = (a: readonly Point[], b: readonly Point[]): number =>
  Math.sqrt(a.reduce((sum, [x, y], i) => sum + (x - b[i]![0]) ** 2 + (y - b[i]![1]) ** 2, 0) / a.length);

// What all solvers of the same equation come to, with many steps.
const truth = endsOf(await drawn(heun({ steps: 100 })));
const samplers: [string, Sampler, solves: boolean][] = [
  ["Euler, 20 steps", euler({ steps: 20 }), true],
  ["Heun, 10 steps", heun({ steps: 10 }), true],
  ["DPM-Solver++(2M), 20 steps", dpm2m({ steps: 20 }), true],
  ["DDIM, 20 steps of the chain", ddim({ steps: 20 }), false],
  ["DDPM, 20 steps of the chain", ddpm({ steps: 20 }), false],
  ["predictor-corrector, 10 steps", predictorCorrector({ steps: 10, levels: "chain", snr: 0.3 }), false],
];
const panels: Panel[] = [];
for (const [name, sampler, solves] of samplers) {
  const paths = await drawn(sampler);
  const end = endsOf(paths);
  if (solves) console.log(`${name}: ${distance(end, truth).toFixed(3)} from where the equation leads`);
  const likely = end.filter((point) => logDensity(mixture, point) > -3).length;
  console.log(`${name}: ${likely} of ${end.length} where there are data`);
  panels.push({
    title: name,
    density: densityOf((point) => logDensity(mixture, point)),
    paths: paths.slice(0, name.includes("DDPM") || name.includes("corrector") ? 6 : 40),
    points: end,
    labels: end.map(() => 0),
  });
}
await savePicture(process.argv[2] ?? "out/samplers.png", panels, { columns: 3 });
