// What noise does to a distribution, and the way back: the score, grad log p(x_t). `npx tsx examples/04-forward.ts forward.png`
// The data are two half-moons, as a mixture of normal distributions, so that density and score are known at every noise level.
import { noiseSchedule } from "guidestar/diffusion";
import { openBackend } from "guidestar/node";
import { densityOf, type Panel, savePicture } from "./support/picture.ts";
import { drawPoints, exactScore, levelsOf, logDensity, moons, type Point } from "./support/plane.ts";
import { cosine, lattice, pointsOf, valuesAt } from "./support/run.ts";

const mixture = moons();
const { tables } = noiseSchedule(cosine);
// One thread: more have nothing to share in a network this small.
await using backend = await openBackend({ threads: 1 });

const extent = 1.3;
const at = lattice(17, extent);
const panels: Panel[] = [];
let worst = 0;
for (const t of [20, 100, 200, 400, 700]) {
  const level = { alpha: tables.alpha[t]!, sigma: tables.sigma[t]! };
  const score = await valuesAt(backend, at, (x) => exactScore(mixture, x, levelsOf(level, at.length)));
  // The score is the slope of log p: it should be what a small step in each direction finds.
  const h = 1e-5;
  for (const [i, [x, y]] of at.entries()) {
    const slope = (dx: number, dy: number): number =>
      (logDensity(mixture, [x + dx, y + dy], level) - logDensity(mixture, [x - dx, y - dy], level)) / (2 * h);
    const [sx, sy] = [score[2 * i]!, score[2 * i + 1]!];
    worst = Math.max(worst, Math.hypot(sx - slope(h, 0), sy - slope(0, h)) / (1 + Math.hypot(sx, sy)));
  }
  const { x, y } = drawPoints(mixture, 0, 0, 150);
  const { x: noise } = drawPoints(
    { ...mixture, centres: [[0, 0]], weights: [1], labels: [0], deviation: 1 },
    1,
    0,
    150,
  );
  const noisy = x.data.map((value, i) => level.alpha * value + level.sigma * noise.data[i]!);
  panels.push({
    title: `t = ${t}: x = ${level.alpha.toFixed(2)} image + ${level.sigma.toFixed(2)} noise`,
    density: densityOf((point: Point) => logDensity(mixture, point, level), extent),
    arrows: { at, by: pointsOf(score) },
    points: pointsOf(noisy),
    labels: Array.from(y.data),
  });
}
console.log(`score and slope of the log density differ by at most ${worst.toExponential(1)}`);
await savePicture(process.argv[2] ?? "out/forward.png", panels, { extent });
