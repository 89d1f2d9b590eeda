import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drawPoints, exactScore, logDensity, type Mixture } from "../../examples/support/plane.ts";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { score } from "../../src/diffusion/score.ts";
import { energyScore, scoreMatchingLoss, sigmaAt } from "../../src/diffusion/score-matching.ts";
import { float32, type NDArray, type Tree } from "../../src/ndarray.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { linear } from "../../src/nn/layers.ts";
import { module, type Network } from "../../src/nn/module.ts";
import { timestepEmbedding } from "../../src/nn/timestep-embedding.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { full, type Tensor } from "../../src/tensor/tensor.ts";
import { trained, type Weights } from "../../src/training/events.ts";
import type { Task } from "../../src/training/task.ts";
import { denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { scoreTask } from "../../src/training/tasks/score.ts";
import { train } from "../../src/training/train.ts";
import { compute, expectClose } from "../support/compute.ts";

const mixture: Mixture = {
  centres: [
    [-0.8, -0.4],
    [0.7, -0.5],
    [0.1, 0.8],
  ],
  weights: [0.5, 0.3, 0.2],
  labels: [0, 0, 0],
  deviation: 0.2,
};
const sigmaRange = [0.05, 8] as const;

/** x [N, 2, 1, 1] and a number that tells the noise, about 0 ... 1000, to `outputs` numbers each. */
const perceptron = (outputs: number) =>
  module(
    { time: linear(32, 64), first: linear(2, 64), middle: linear(64, 64), last: linear(64, outputs) },
    (layers, x: Tensor, t: Tensor) => {
      const told = layers.time(timestepEmbedding(t, 32));
      const h = layers.first(x.reshape(-1, 2)).add(told).silu();
      return layers.last(layers.middle(h).add(told).silu());
    },
  );
/** What the score network and the energy network see of sigma. */
const toldOf = (sigma: Tensor): Tensor => sigma.log().mul(4);
/** As large at every noise level as the data are without. */
const shrunk = (x: Tensor, sigma: Tensor): Tensor => x.div(sigma.square().add(1).sqrt().reshape(-1, 1, 1, 1));

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

async function learn<B extends Tree<NDArray>>(task: Task<B>, steps: number): Promise<Weights> {
  const options = { backend, steps, learningRate: 1e-2, decay: "cosine", emaRate: 0.99 } as const;
  return trained(train(task, options));
}
const data = (network: Network) => ({
  weights: initialize(network, 0),
  batchAt: (step: number) => drawPoints(mixture, 1, step, 256),
  seed: 0,
});

/** Root of the mean squared difference, relative to that of `expected`. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const squares = (value: (i: number) => number): number =>
    Array.from({ length: expected.length }, (_, i) => value(i) ** 2).reduce((a, b) => a + b);
  return Math.sqrt(squares((i) => actual[i]! - expected[i]!) / squares((i) => expected[i]!));
}

test("the loss is sigma^2 times the squared distance to -noise / sigma", async () => {
  const values = {
    score: float32([2, 2, 1, 1], [1, -2, 0.5, 3]),
    noise: float32([2, 2, 1, 1], [0.5, 1, -1, 2]),
    sigma: float32([2], [2, 0.25]),
  };
  const { loss } = await compute(values, ({ score, noise, sigma }) => ({
    loss: scoreMatchingLoss(score, noise, { sigma }),
  }));
  // (4 (1 + 0.25)^2 + 4 (-2 + 0.5)^2) / 2 and (0.0625 (0.5 - 4)^2 + 0.0625 (3 + 8)^2) / 2
  expectClose(loss!, { shape: [2], data: [7.625, 4.1640625] }, 1e-12, "loss");
});

describe("the score of an energy", () => {
  const x = float32([3, 2, 1, 1], [0.3, -0.2, 1.1, 0.4, -0.7, 0.9]);

  test("is that of the density exp(-energy)", async () => {
    const sigma = 0.3;
    const level = { alpha: 1, sigma };
    const { energy, exact } = await compute({ x }, ({ x }) => {
      const levels = { alpha: full([3], 1), sigma: full([3], sigma) };
      // A mixture written down once more, as an energy.
      const density = (x: Tensor): Tensor =>
        mixture.centres
          .map(([a, b], i) => {
            const [px, py] = x.reshape(-1, 2).split(1, 2) as [Tensor, Tensor];
            const distance = px.sub(a).square().add(py.sub(b).square());
            return distance
              .mul(-0.5 / (mixture.deviation ** 2 + sigma ** 2))
              .exp()
              .mul(mixture.weights[i]!);
          })
          .reduce((sum, term) => sum.add(term))
          .reshape(-1);
      return { energy: energyScore((x) => density(x).log().neg(), x), exact: exactScore(mixture, x, levels) };
    });
    expectClose(energy!, exact!, 1e-6, "score");
    // And both are what finite differences of log p say.
    const h = 1e-5;
    for (const i of [0, 1, 2]) {
      const [a, b] = [x.data[2 * i]!, x.data[2 * i + 1]!];
      const slope = (dx: number, dy: number): number =>
        (logDensity(mixture, [a + dx, b + dy], level) - logDensity(mixture, [a - dx, b - dy], level)) / (2 * h);
      const { data } = energy!;
      expect(Math.hypot(data[2 * i]! - slope(h, 0), data[2 * i + 1]! - slope(0, h))).toBeLessThan(1e-4);
    }
  });

  test("can be matched: the loss's gradient to the weights is that of central differences", async () => {
    const weight = float32([2, 4], normals(3, 0, 8));
    const loss = (weight: Tensor, x: Tensor): Tensor => {
      const energy = (x: Tensor) => x.reshape(-1, 2).matmul(weight).tanh().square().sum(1);
      return scoreMatchingLoss(energyScore(energy, x), x.mul(0.7), { sigma: full([3], 0.5) }).mean();
    };
    const at = async (weight: NDArray<"float32">) => {
      const all = await compute({ weight, x }, ({ weight, x }) => {
        const value = loss(weight, x);
        return { value, slope: gradients(value, { weight }).weight };
      });
      return { value: all.value!.data[0]!, slope: all.slope! };
    };
    const { slope } = await at(weight);
    const h = 2 ** -10; // weights are float32: a step that they hold exactly
    for (let i = 0; i < 8; i++) {
      const moved = (by: number) => at({ ...weight, data: weight.data.map((w, j) => (j === i ? w + by : w)) });
      const [up, down] = [await moved(h), await moved(-h)];
      expect(Math.abs((up.value - down.value) / (2 * h) - slope.data[i]!)).toBeLessThan(2e-4);
    }
  });
});

describe("sigma", () => {
  test("is geometric", () => {
    expect([0, 0.5, 1].map((place) => sigmaAt([0.01, 1], place))).toEqual([0.01, 0.1, 1]);
  });
  test.each([
    [0, 1],
    [1, 1],
    [-1, 1],
    [0.1, Number.POSITIVE_INFINITY],
    [Number.NaN, 1],
  ])("of %d ... %d is refused", (least, most) => {
    expect(() => sigmaAt([least, most], 0)).toThrow(/sigmaRange must be two positive numbers/);
  });
});

describe("networks trained on the same data", { timeout: 100_000 }, () => {
  const process = ddpmProcess();
  const chain = noiseSchedule(process);
  const count = 400;
  /** Noise levels as sigma / alpha. The score's differences are relative to it; where there is little noise it is hard to learn. */
  const levels = [
    { about: 0.1, between: 0.25, fromExact: 0.4 },
    { about: 0.3, between: 0.2, fromExact: 0.3 },
    { about: 1, between: 0.1, fromExact: 0.1 },
    { about: 3, between: 0.1, fromExact: 0.1 },
  ];
  const noisyPoints = (ratio: number): NDArray<"float32"> => {
    const { x } = drawPoints(mixture, 2, 0, count);
    const noise = normals(2, 99, 2 * count);
    return { ...x, data: x.data.map((value, i) => value + ratio * noise[i]!) };
  };

  test("a noise predictor and a score network agree: score = -eps / sigma", async () => {
    const network = perceptron(2);
    const scoreOf = (weights: Record<string, Tensor>, x: Tensor, sigma: Tensor): Tensor =>
      network(weights, shrunk(x, sigma), toldOf(sigma))
        .reshape(-1, 2, 1, 1)
        .div(sigma.reshape(-1, 1, 1, 1));
    const epsOf = (weights: Record<string, Tensor>, x: Tensor, t: Tensor): Tensor =>
      network(weights, x, t.mul(0.02)).reshape(-1, 2, 1, 1);
    const scores = await learn(scoreTask({ ...data(network), network: scoreOf, sigmaRange }), 700);
    const noises = await learn(denoiserTask({ ...data(network), network: epsOf, process }), 700);

    for (const { about, between, fromExact } of levels) {
      const ratios = chain.timesteps.map((t) => chain.tables.sigma[t]! / chain.tables.alpha[t]!);
      const index = ratios.findIndex((ratio) => ratio > about);
      const ratio = ratios[index]!;
      const values = {
        x: noisyPoints(ratio),
        ratio: float32([count], new Float32Array(count).fill(ratio)),
        c: coefficients(chain, new Array<number>(count).fill(index)),
        scores,
        noises,
      };
      const found = await compute(
        values,
        ({ x, ratio, c, scores, noises }) => {
          // The same points as the chain sees them are alpha x, and its score is by 1 / alpha larger.
          const alpha = c.alpha.reshape(-1, 1, 1, 1);
          return {
            score: scoreOf(scores, x, ratio),
            eps: score(epsOf(noises, x.mul(alpha), c.timestep), c).mul(alpha),
            exact: exactScore(mixture, x, { alpha: full([count], 1), sigma: ratio }),
          };
        },
        backend,
      );
      expect(difference(found.score!.data, found.eps!.data)).toBeLessThan(between);
      expect(difference(found.score!.data, found.exact!.data)).toBeLessThan(fromExact);
      expect(difference(found.eps!.data, found.exact!.data)).toBeLessThan(fromExact);
    }
  });

  test("an energy network has the score and the density of the data", async () => {
    const network = perceptron(1);
    const energyOf = (weights: Record<string, Tensor>, x: Tensor, sigma: Tensor): Tensor =>
      network(weights, shrunk(x, sigma), toldOf(sigma)).reshape(-1);
    const scoreOf = (weights: Record<string, Tensor>, x: Tensor, sigma: Tensor): Tensor =>
      energyScore((x) => energyOf(weights, x, sigma), x);
    const weights = await learn(scoreTask({ ...data(network), network: scoreOf, sigmaRange }), 700);
    for (const { about: ratio, fromExact } of levels) {
      const x = noisyPoints(ratio);
      const sigma = float32([count], new Float32Array(count).fill(ratio));
      const found = await compute(
        { x, sigma, weights },
        ({ x, sigma, weights }) => ({
          score: scoreOf(weights, x, sigma),
          energy: energyOf(weights, x, sigma),
          exact: exactScore(mixture, x, { alpha: full([count], 1), sigma }),
        }),
        backend,
      );
      expect(difference(found.score!.data, found.exact!.data)).toBeLessThan(fromExact);
      // Energy and log density add up to a constant, the logarithm of what exp(-energy) integrates to.
      const densities = Array.from({ length: count }, (_, i) =>
        logDensity(mixture, [x.data[2 * i]!, x.data[2 * i + 1]!], { alpha: 1, sigma: ratio }),
      );
      const sums = densities.map((density, i) => density + found.energy!.data[i]!);
      expect(deviationOf(sums)).toBeLessThan(fromExact * 1.5 * deviationOf(densities));
    }
  });
});

function deviationOf(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
