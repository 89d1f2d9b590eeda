import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, test } from "vitest";
import { priorBpd, vbTerm } from "../src/diffusion/likelihood.ts";
import { trainingLoss } from "../src/diffusion/losses.ts";
import {
  type CoefficientName,
  coefficients,
  type NoiseSchedule,
  noiseSchedule,
  type ProcessConfig,
} from "../src/diffusion/noise-schedule.ts";
import { reverseMean } from "../src/diffusion/prediction.ts";
import { posteriorMean, qSample } from "../src/diffusion/process.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { type GuidanceOptions, guide } from "../src/guidance/guide.ts";
import type { Classifier } from "../src/guidance/predictor.ts";
import { float32, int32 } from "../src/ndarray.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { openBackend } from "../src/runtime/node.ts";
import type { SolverStep } from "../src/samplers/solver.ts";
import { ddimReverseStep, ddimStep } from "../src/samplers/solvers/ddim.ts";
import { ddpmStep } from "../src/samplers/solvers/ddpm.ts";
import { concat } from "../src/tensor/functions.ts";
import { gradients } from "../src/tensor/gradient.ts";
import { full, type Tensor } from "../src/tensor/tensor.ts";
import { compute, expectClose } from "../test/support/compute.ts";

interface Case {
  case: string;
  schedule: "linear" | "cosine";
  steps: number;
  respacing: string;
  mean_type: "EPSILON" | "START_X" | "PREVIOUS_X";
  var_type: "FIXED_SMALL" | "FIXED_LARGE" | "LEARNED" | "LEARNED_RANGE";
}

const url = (name: string): URL => new URL(`data/${name}`, import.meta.url);
const cases = JSON.parse(readFileSync(url("steps.json"), "utf8")) as Case[];
const reference = readNpz(readFileSync(url("steps.npz")));
const predictions = { EPSILON: "eps", START_X: "x0", PREVIOUS_X: "previous" } as const;
const variances = {
  FIXED_SMALL: "fixed-small",
  FIXED_LARGE: "fixed-large",
  LEARNED: "learned",
  LEARNED_RANGE: "learned-range",
} as const;

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/** A classifier of two classes whose log p(0 | x) has the given gradient everywhere. */
const classifierWithGradient =
  (grad: Tensor): Classifier =>
  (x) => {
    const logit = x.mul(grad).sum([1, 2, 3]).mul(2).reshape(-1, 1);
    return concat([logit.sub(logit.stopGradient()), full(logit.shape, 0)], 1);
  };

/**
 * Coefficients that the reference makes in float32 out of rounded alpha bars. At low noise they miss the exact values by more than
 * a step may differ. Ours are exact, so steps are compared with these in their place, and then these with ours.
 */
function roundedCoefficients({ tables }: NoiseSchedule, indices: readonly number[], eta: number) {
  const f = Math.fround;
  const noise = (alphaBar: number): number => f(1 - alphaBar);
  const rounded = indices.map((i) => {
    const [now, previous, next] = [tables.alpha, tables.alphaPrevious, tables.alphaNext].map((alpha) =>
      f(alpha[i]! ** 2),
    );
    const deviation = f(
      f(eta * f(Math.sqrt(f(noise(previous!) / noise(now!))))) * f(Math.sqrt(noise(f(now! / previous!)))),
    );
    const direction = f(Math.sqrt(f(noise(previous!) - f(deviation ** 2))));
    return { deviation, direction, sigmaNext: f(Math.sqrt(noise(next!))) };
  });
  const column = (name: "deviation" | "direction" | "sigmaNext") =>
    float32(
      [indices.length],
      rounded.map((row) => row[name]),
    );
  return { ddimDeviation: column("deviation"), ddimDirection: column("direction"), sigmaNext: column("sigmaNext") };
}

describe.each(cases)("$schedule $steps as $respacing, $mean_type, $var_type", (entry) => {
  const process: ProcessConfig = {
    schedule: entry.schedule,
    steps: entry.steps,
    prediction: predictions[entry.mean_type],
    variance: variances[entry.var_type],
    rescaleTimesteps: false,
  };
  const chain = noiseSchedule(process, entry.respacing);
  const stored = (name: string) => {
    const { shape, data } = arrayOf(reference, `${entry.case}/${name}`, "float32");
    return float32(shape, data);
  };
  const indices = Array.from(arrayOf(reference, `${entry.case}/t`, "int64").data, Number);
  const values = {
    x0: stored("x0"),
    noise: stored("noise"),
    xt: stored("xt"),
    output: stored("model_output"),
    grad: stored("grad"),
    label: int32([indices.length]),
    c: coefficients(chain, indices),
  };

  // Errors are relative to an image's largest magnitude, but the reference computes in float32:
  // - x0 comes from x_t by a difference that magnifies rounding by sigma / alpha, also where it is clipped afterwards;
  const x0Scale = indices.map((i) => chain.tables.sigma[i]! / chain.tables.alpha[i]!);
  // - terms of the bound are sums of terms near 1. With the random log-variances of LEARNED the decoder's probabilities are one or
  //   two units in the last place of float32: the bound is known to a per cent there, its gradient not at all.
  const decoderIsNoise = (i: number): boolean => i === 0 && entry.var_type === "LEARNED";
  const boundScale = indices.map((i) => (decoderIsNoise(i) ? 2000 : 2e-3));
  const gradientScale = indices.map((i) => (decoderIsNoise(i) ? Number.POSITIVE_INFINITY : 0));

  test("forward process and posterior", async () => {
    const ours = await compute(
      values,
      ({ x0, noise, xt, c }) => ({
        xt: qSample(x0, noise, c),
        mean: posteriorMean(x0, xt, c),
        variance: c.posteriorVariance,
        prior: priorBpd(x0, chain),
      }),
      backend,
    );
    expectClose(ours.xt!, stored("xt"), 1e-5, "xt");
    expectClose(ours.mean!, stored("posterior_mean"), 1e-5, "mean");
    expectClose(ours.variance!, stored("posterior_variance"), 1e-5, "variance");
    expectClose(ours.prior!, stored("prior_bpd"), 1e-5, "prior", 1e-4);
  });

  describe.each([
    ["clip", true],
    ["raw", false],
  ] as const)("%s", (folder, clip) => {
    test("reverse mean, variance, image, and term of the bound", async () => {
      const ours = await compute(
        values,
        ({ x0, xt, output, c }) => {
          const p = guide({ denoiser: () => output, process }, { form: "score", clip })(xt, c, {});
          const { variance, logVariance } = p;
          return { mean: reverseMean(p, xt, c), variance, logVariance, x0: p.x0, vb: vbTerm(p, x0, xt, c) };
        },
        backend,
      );
      expectClose(ours.mean!, stored(`${folder}/p_mean`), 1e-5, "mean");
      expectClose(ours.variance!, stored(`${folder}/p_variance`), 1e-5, "variance");
      expectClose(ours.logVariance!, stored(`${folder}/p_log_variance`), 1e-5, "log variance");
      expectClose(ours.x0!, stored(`${folder}/p_pred_xstart`), 1e-5, "x0", x0Scale);
      expectClose(ours.vb!, stored(`${folder}/vb_bpd`), 1e-4, "bound", boundScale);
    });

    /** One step from x_t with the noise that was drawn for the result of that name. */
    async function expectStep(
      name: string,
      step: SolverStep,
      { guided, eta = 0 }: { guided?: GuidanceOptions["form"]; eta?: number },
    ): Promise<void> {
      const c = { ...coefficients(chain, indices, { eta }), ...roundedCoefficients(chain, indices, eta) };
      const ours = await compute(
        { ...values, noise: stored(`${folder}/${name}_noise`), c },
        ({ xt, noise, output, grad, label, c }) => {
          const model = { denoiser: () => output, process, classifier: classifierWithGradient(grad) };
          const predictor = guide(model, { form: guided ?? "score", classifierScale: guided ? 1 : 0, clip });
          return { x: step(predictor, { x: xt, noise, coefficients: c, condition: { label } }).x };
        },
        backend,
      );
      expectClose(ours.x!, stored(`${folder}/${name}`), 1e-5, name);
    }

    test("ancestral step", () => expectStep("ddpm", ddpmStep, {}));
    test("ancestral step, mean shifted", () => expectStep("ddpm_guided", ddpmStep, { guided: "mean" }));
    test.each(["0.0", "0.5", "1.0"])("DDIM step, eta %s", async (eta) => {
      await expectStep(`ddim_eta${eta}`, ddimStep, { eta: Number(eta) });
      await expectStep(`ddim_guided_eta${eta}`, ddimStep, { eta: Number(eta), guided: "score" });
    });

    test("reverse DDIM step", async () => {
      const c = { ...values.c, ...roundedCoefficients(chain, indices, 0) };
      const ours = await compute(
        { ...values, c },
        ({ xt, output, c }) => {
          const predictor = guide({ denoiser: () => output, process }, { form: "score", clip });
          return { x: ddimReverseStep(predictor, { x: xt, coefficients: c, condition: {} }).x };
        },
        backend,
      );
      expectClose(ours.x!, stored(`${folder}/ddim_reverse`), 1e-5, "x");
    });
  });

  const losses = (
    [
      ["MSE", { loss: "hybrid", vlbWeight: 1 }],
      ["RESCALED_MSE", { loss: "hybrid" }],
      ["KL", { loss: "vlb", vlbWeight: 1 }],
      ["RESCALED_KL", { loss: "vlb" }],
    ] as const
  ).filter(([name]) => `${entry.case}/loss/${name}/loss` in reference);
  test.each(losses)("loss %s and its gradient", async (name, options) => {
    const ours = await compute(
      values,
      ({ x0, noise, xt, output, c }) => {
        const losses = trainingLoss(output, { x0, noise, xt }, c, chain, options);
        return { ...losses, gradient: gradients(losses.loss.mean(), { output }).output };
      },
      backend,
    );
    for (const part of ["loss", "mse", "vb"]) {
      const stem = `loss/${name}/${part}`;
      if (`${entry.case}/${stem}` in reference) expectClose(ours[part]!, stored(stem), 1e-4, part, boundScale);
    }
    expectClose(ours.gradient!, stored(`loss/${name}/grad_of_mean_loss`), 1e-4, "gradient", gradientScale);
  });

  test.each([0, 0.5, 1])("coefficients that the reference rounds, eta %s", (eta) => {
    const exact = coefficients(chain, indices, { eta });
    for (const [name, rounded] of Object.entries(roundedCoefficients(chain, indices, eta)))
      expectClose(exact[name as CoefficientName], rounded, 1e-3, name, 0.05);
  });
});
