import { type NoiseLevel, noiseless, noiseRatio } from "../../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule } from "../../diffusion/noise-schedule.ts";
import { type SettingValues, whole } from "../../setting.ts";
import { type LinearEvaluation, linearSolver, plus, type Sum, times } from "../linear.ts";
import { defineSampler } from "../sampler.ts";
import type { Solver } from "../solver.ts";
import { eta } from "./eta.ts";

const settings = {
  eta: eta(0),
  /** How many images a predicted step is made of: this evaluation's and earlier ones. The corrector takes one more. */
  order: whole("images that a step is predicted from", { from: 1, to: 4, usual: 1, cost: "value" }),
};

/**
 * SA-Solver, Xue et al. 2023: stochastic Adams methods, predictor and corrector, for one evaluation a step; with eta 0 they are of
 * the kind of UniPC (Zhao et al. 2023). With lambda = log(alpha / sigma), u = lambda_t - lambda, h = lambda_t - lambda_s, a = 1 + eta:
 *
 * x_t = sigma_t / sigma_s exp(-eta h) x_s + alpha_t int_0^h a exp(-a u) x0(u) du + sigma_t sqrt(1 - exp(-2 eta h)) noise.
 *
 * x0(u) is the polynomial through the images of several evaluations (eq. 14 and 17). For the predictor they are those of the past.
 * When the predictor of images has then been asked at x_t, the corrector takes the step again with the new image among them and
 * the same noise, and from there the next step starts.
 */
export const saSolver = defineSampler({
  kind: "sa-solver",
  note: "Adams predictor and corrector of any order; eta adds noise",
  settings,
  // Higher orders need more steps before they are better: on the mixture of the tests, thirty.
  steps: 12,
  levels: "chain",
  solver: adamsSolver,
});

function adamsSolver(chain: NoiseSchedule, { order, eta }: SettingValues<typeof settings>): Solver {
  const { levels } = chain;
  const slots = Array.from({ length: order }, (_, i) => `earlier${i + 1}`);
  const images = ["x0", ...slots];
  const evaluations = levels.map((level, index): readonly LinearEvaluation[] => {
    const [before, to] = [levels[index + 1], levels[index - 1] ?? noiseless];
    /** The integral from one level to another with so many images of this evaluation and those before. */
    const integral = (from: Level, end: Level, count: number): Sum =>
      Object.fromEntries(
        adamsWeights(from, end, levels.slice(index, index + count), eta).map((weight, i) => [images[i]!, weight]),
      );
    const start: Sum = before ? plus({ base: 1 }, integral(before, level, order + 1)) : { x: 1 };
    const shrink = noiseRatio(to) / noiseRatio(level);
    const base = plus(times((to.sigma / level.sigma) * shrink ** eta, start), {
      noise: to.sigma * Math.sqrt(1 - shrink ** (2 * eta)),
    });
    return [
      {
        coefficients: coefficientRow(chain, index),
        next: plus(base, integral(level, to, order)),
        memory: { base, ...Object.fromEntries(slots.map((slot, i) => [slot, { [images[i]!]: 1 }])) },
      },
    ];
  });
  return linearSolver(evaluations.reverse());
}

type Level = Pick<NoiseLevel, "alpha" | "sigma">;

/**
 * alpha_t times the integral of a exp(-a u) L_j(u) over u = 0 ... h, for each of the Lagrange polynomials L_j of some places: what
 * the image at each place counts in the step from one level to another.
 */
function adamsWeights(from: Level, to: Level, places: readonly Level[], eta: number): number[] {
  // Places of pure noise, infinitely far away, say nothing; and where no noise is left, only the last image counts.
  const known = to.sigma > 0 ? places.filter(({ alpha }) => alpha > 0) : places.slice(0, 1);
  const [a, h] = [1 + eta, distance(from, to)];
  const nodes = known.length > 1 ? known.map((place) => distance(place, to)) : [0];
  // Integrals of a exp(-a u) u^k, by parts.
  const moments = [-Math.expm1(-a * h)];
  for (let k = 1; k < nodes.length; k++)
    moments.push((k / a) * moments[k - 1]! - (h === Infinity ? 0 : h ** k * Math.exp(-a * h)));
  return nodes.map((node, j) => {
    let polynomial = [1];
    for (const [i, other] of nodes.entries()) {
      if (i === j) continue;
      // Times (u - other) / (node - other).
      const shifted = [0, ...polynomial];
      polynomial = shifted.map((value, k) => (value - other * (polynomial[k] ?? 0)) / (node - other));
    }
    return to.alpha * polynomial.reduce((sum, value, k) => sum + value * moments[k]!, 0);
  });
}

/** lambda at the end of a step less lambda at its start. */
const distance = (from: Level, to: Level): number => Math.log(noiseRatio(from) / noiseRatio(to));
