import { describe, expect, test } from "vitest";
import { parseRecord } from "../../src/checkpoint/model.ts";
import { minSnrWeight, trainingLoss, velocityWeight } from "../../src/diffusion/losses.ts";
import { coefficients, noiseSchedule, type ProcessConfig } from "../../src/diffusion/noise-schedule.ts";
import { predict, targetOf } from "../../src/diffusion/prediction.ts";
import { meanPerImage, qSample, vOf } from "../../src/diffusion/process.ts";
import { ddpmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import { betas, zeroTerminalSnr } from "../../src/diffusion/schedule.ts";
import { score, shiftScore } from "../../src/diffusion/score.ts";
import { ModelError, UsageError } from "../../src/errors.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { compute, expectClose } from "../support/compute.ts";

const config = ddpmProcess({ prediction: "v" });
const ztsnr: ProcessConfig = { ...config, schedule: "linear", zeroTerminalSnr: true };
const shape = [4, 2, 3, 3];
const random = (stream: number) => float32(shape, normals(13, stream, 72));
/** From almost no noise to nothing else. */
const indices = [0, 300, 700, 999];

describe("v-prediction", () => {
  const values = { x0: random(0), noise: random(1), c: coefficients(noiseSchedule(config), indices) };

  test("v is the speed of x_t as it turns from image to noise", async () => {
    // x_t = cos(angle) x0 + sin(angle) eps; its derivative by a central difference in float64.
    const { alpha, sigma } = noiseSchedule(config).tables;
    const angles = indices.map((i) => Math.atan2(sigma[i]!, alpha[i]!));
    const { v } = await compute(values, ({ x0, noise, c }) => ({ v: vOf(x0, noise, c) }));
    const at = (angle: number, i: number) =>
      Math.cos(angle) * values.x0.data[i]! + Math.sin(angle) * values.noise.data[i]!;
    const h = 1e-4;
    const speed = Array.from({ length: 72 }, (_, i) => {
      const angle = angles[Math.floor(i / 18)]!;
      return (at(angle + h, i) - at(angle - h, i)) / (2 * h);
    });
    expectClose(v!, { shape, data: speed }, 1e-6, "v");
  });

  test.each(["schedule", "zero terminal SNR"])(
    "a right v tells image, noise and score at every level (%s)",
    async (kind) => {
      const process = kind === "schedule" ? config : ztsnr;
      const c = coefficients(noiseSchedule(process), indices);
      const ours = await compute({ ...values, c }, ({ x0, noise, c }) => {
        const xt = qSample(x0, noise, c);
        const p = predict(targetOf({ x0, noise, xt }, c, process), xt, c, process);
        return { eps: p.eps, x0: p.x0, again: qSample(p.x0, p.eps, c), xt, score: score(p.eps, c), c: c.sigma };
      });
      expectClose(ours.eps!, values.noise, 1e-6, "eps");
      expectClose(ours.x0!, values.x0, 1e-6, "x0");
      expectClose(ours.again!, ours.xt!, 1e-6, "xt");
      const exact = Array.from(values.noise.data, (z, i) => -z / c.sigma.data[Math.floor(i / 18)]!);
      expectClose(ours.score!, { shape, data: exact }, 1e-4, "score");
    },
  );
});

describe("min-SNR weights", () => {
  const c = coefficients(noiseSchedule({ ...config, prediction: "eps" }), [0, 200, 600, 998]);

  test("are those of the paper", async () => {
    const ours = await compute({ c }, ({ c }) => ({
      eps: minSnrWeight(c, { prediction: "eps" }),
      x0: minSnrWeight(c, { prediction: "x0" }),
      v: minSnrWeight(c, { prediction: "v" }),
    }));
    for (let n = 0; n < 4; n++) {
      const snr = (c.alpha.data[n]! / c.sigma.data[n]!) ** 2;
      expect(ours.eps!.data[n]! / (Math.min(snr, 5) / snr)).toBeCloseTo(1, 5);
      expect(ours.x0!.data[n]! / Math.min(snr, 5)).toBeCloseTo(1, 5);
      expect(ours.v!.data[n]! / (Math.min(snr, 5) / (snr + 1))).toBeCloseTo(1, 5);
    }
    expect(ours.x0!.data[0]).toBe(5);
  });

  test("make the losses of eps, x0 and v the same function of the predicted image", async () => {
    const values = { x0: random(0), noise: random(1), error: random(2), c };
    const ours = await compute(values, ({ x0, noise, error, c }) => {
      const xt = qSample(x0, noise, c);
      const guess = x0.add(error.mul(0.1)); // a wrong image, and the noise that it implies
      const implied = xt.sub(guess.mul(c.alpha.reshape(-1, 1, 1, 1))).div(c.sigma.reshape(-1, 1, 1, 1));
      const lossOf = (prediction: "eps" | "x0" | "v") => {
        const process = { ...config, prediction };
        const output = targetOf({ x0: guess, noise: implied, xt }, c, process);
        return trainingLoss(output, { x0, noise, xt }, c, noiseSchedule(process), { lossWeight: "min-snr" }).loss;
      };
      const direct = meanPerImage(error.mul(0.1).square()).mul(minSnrWeight(c, { prediction: "x0" }));
      return { eps: lossOf("eps"), x0: lossOf("x0"), v: lossOf("v"), direct };
    });
    for (const kind of ["eps", "x0", "v"]) expectClose(ours[kind]!, ours.direct!, 2e-3, kind);
  });

  test("are refused for other predictions", () => {
    return expect(compute({ c }, ({ c }) => ({ w: minSnrWeight(c, { prediction: "previous" }) }))).rejects.toThrow(
      /known for networks that predict eps, x0 or v, but this one predicts previous/,
    );
  });
});

describe("velocity weights", () => {
  const flow = flowProcess({ prediction: "x0", steps: 100 });
  // Shares of noise of 0.01, 0.3, 0.7 and 1.
  const c = coefficients(noiseSchedule(flow), [0, 29, 69, 99]);
  const values = { x0: random(0), noise: random(1), guess: random(2), c };

  test("make the squared error of an image that of the velocity that leads to it, with at least 0.05 of noise", async () => {
    const { loss, sigma } = await compute(values, ({ x0, noise, guess, c }) => {
      const xt = qSample(x0, noise, c);
      const { loss } = trainingLoss(guess, { x0, noise, xt }, c, noiseSchedule(flow), { lossWeight: "velocity" });
      return { loss, sigma: c.sigma };
    });
    const direct = Array.from(sigma!.data, (t, n) => {
      let sum = 0;
      for (let i = 18 * n; i < 18 * (n + 1); i++) {
        const [x0, noise, guess] = [values.x0.data[i]!, values.noise.data[i]!, values.guess.data[i]!];
        const xt = (1 - t) * x0 + t * noise;
        const divisor = Math.max(t, 0.05);
        sum += ((xt - guess) / divisor - (xt - x0) / divisor) ** 2;
        // Where it is not held back, the velocity is that of the flow.
        if (t > 0.05) expect((xt - x0) / divisor).toBeCloseTo(noise - x0, 4);
      }
      return sum / 18;
    });
    expectClose(loss!, { shape: [4], data: direct }, 1e-5, "loss");
  });

  test("change nothing where the velocity is predicted, and are refused beside other noise", async () => {
    const { w } = await compute({ c }, ({ c }) => ({ w: velocityWeight(c, flowProcess()) }));
    expect(Array.from(w!.data)).toEqual([1, 1, 1, 1]);
    await expect(compute({ c }, ({ c }) => ({ w: velocityWeight(c, ddpmProcess()) }))).rejects.toThrow(
      /velocity weights are for the flow, but the schedule is cosine/,
    );
  });
});

describe("zero terminal SNR", () => {
  /** Algorithm 1 of Lin et al. 2023, line by line. */
  function algorithm1(betas: readonly number[]): number[] {
    const alphas = betas.map((beta) => 1 - beta);
    const alphasBar: number[] = [];
    for (const alpha of alphas) alphasBar.push((alphasBar.at(-1) ?? 1) * alpha);
    let roots = alphasBar.map(Math.sqrt);
    const [first, last] = [roots[0]!, roots.at(-1)!];
    roots = roots.map((root) => root - last).map((root) => (root * first) / (first - last));
    const squares = roots.map((root) => root ** 2);
    return squares.map((square, i) => 1 - (i === 0 ? square : square / squares[i - 1]!));
  }

  test.each(["linear", "cosine"] as const)("the %s schedule becomes what algorithm 1 says", (schedule) => {
    const ours = zeroTerminalSnr(betas(schedule, 1000));
    const theirs = algorithm1([...betas(schedule, 1000)]);
    for (const [i, beta] of theirs.entries()) expect(Math.abs(ours[i]! - beta)).toBeLessThan(1e-12);
    const { alpha, sigma } = noiseSchedule({ ...ztsnr, schedule }).tables;
    const plain = noiseSchedule({ ...config, schedule }).tables.alpha;
    expect([alpha.at(-1), sigma.at(-1)]).toEqual([0, 1]);
    expect(alpha[0]).toBeCloseTo(plain[0]!, 12);
    // Moved and scaled: differences of alpha keep their ratios.
    const ratio = (plain[0]! - plain[500]!) / (plain[0]! - plain[999]!);
    expect((alpha[0]! - alpha[500]!) / alpha[0]!).toBeCloseTo(ratio, 10);
  });

  test("every table is finite, respaced too; the step from the end keeps nothing of x_T", () => {
    for (const chain of [noiseSchedule(ztsnr), noiseSchedule(ztsnr, "10")]) {
      for (const table of Object.values(chain.tables)) expect(table.every(Number.isFinite)).toBe(true);
      expect(chain.tables.posteriorXt.at(-1)).toBe(0);
      expect(chain.tables.alpha.at(-1)).toBe(0);
    }
  });

  test("a classifier has nothing to say of pure noise", async () => {
    const c = coefficients(noiseSchedule(ztsnr), indices);
    const ours = await compute({ noise: random(1), shift: random(2), c }, ({ noise, shift, c }) => {
      const before = predict(noise, noise, c, ztsnr);
      const after = shiftScore(before, shift, c);
      return { moved: after.x0.sub(before.x0), eps: after.eps.sub(before.eps) };
    });
    expect(Array.from(ours.moved!.data).every(Number.isFinite)).toBe(true);
    expect(
      Array.from(ours.moved!.data)
        .slice(54)
        .every((value) => value === 0),
    ).toBe(true);
    expect(
      Array.from(ours.eps!.data)
        .slice(0, 54)
        .some((value) => value !== 0),
    ).toBe(true);
  });

  test("predicting eps is refused, with what to do", () => {
    const bad: ProcessConfig = { ...ztsnr, prediction: "eps" };
    expect(() => noiseSchedule(bad)).toThrow(UsageError);
    expect(() => noiseSchedule(bad)).toThrow(/cannot be found from a predicted eps; train with prediction v or x0/);
    const network = { imageSize: 8, inChannels: 1, outChannels: 1, modelChannels: 8, numResBlocks: 1 };
    const record = {
      format: "guidestar-model-1",
      classes: ["a"],
      imageShape: [1, 8, 8],
      preprocessing: {},
      denoiser: {
        config: { ...network, attentionResolutions: [], channelMult: [1] },
        process: bad,
        file: "denoiser.safetensors",
        sha256: "0".repeat(64),
        parameters: 1,
      },
    };
    expect(() => parseRecord(JSON.stringify(record), "model.json")).toThrow(ModelError);
    expect(() => parseRecord(JSON.stringify(record), "model.json")).toThrow(
      /model.json: denoiser.process: zero terminal/,
    );
  });
});
