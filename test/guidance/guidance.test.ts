import { describe, expect, test } from "vitest";
import { coefficients, noiseSchedule, type ProcessConfig } from "../../src/diffusion/noise-schedule.ts";
import { reverseMean } from "../../src/diffusion/prediction.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { type GuidanceOptions, type GuidedModel, guide } from "../../src/guidance/guide.ts";
import { classifierGradient } from "../../src/guidance/kinds/classifier.ts";
import { classifierFree } from "../../src/guidance/kinds/classifier-free.ts";
import type { Classifier } from "../../src/guidance/predictor.ts";
import { type Condition, denoiserPredictor, type Scale } from "../../src/guidance/predictor.ts";
import { float32, int32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { concat, oneHot } from "../../src/tensor/functions.ts";
import { full, type Tensor } from "../../src/tensor/tensor.ts";
import { compute, expectClose } from "../support/compute.ts";
import { exactClassifier, exactDenoiser, labels, nullLabel } from "../support/mixture.ts";

const process = ddpmProcess();
const chain = noiseSchedule(process, "20");
const indices = [0, 5, 10, 15];
const c = coefficients(chain, indices);
const x = float32([4, 1, 1, 1], normals(3, 0, 4));
const label = int32([4], [0, 1, 1, 0]);

describe("on a mixture of two normals, where all is known", () => {
  /** eps of the exact model under the given guidance. */
  const eps = async (options: Partial<GuidanceOptions>, condition?: (n: number) => Tensor<"int32">) => {
    const { eps } = await compute({ x, label, c }, ({ x, label, c }) => {
      const model = { denoiser: exactDenoiser(c), classifier: exactClassifier(c), process, nullLabel };
      const predictor = guide(model, { form: "score", clip: false, ...options });
      return { eps: predictor(x, c, { label: condition?.(4) ?? label }).eps };
    });
    return eps!;
  };

  test("classifier guidance by 1 of the unconditional prediction is the conditional prediction", async () => {
    expectClose(await eps({ unconditional: true, classifierScale: 1 }), await eps({}), 1e-6, "eps");
  });
  test("classifier-free guidance by w is classifier guidance by w, and by w - 1 on top of the conditional prediction", async () => {
    const expected = await eps({ unconditional: true, classifierScale: 3 });
    expectClose(await eps({ cfgScale: 3 }), expected, 1e-6, "classifier-free");
    expectClose(await eps({ classifierScale: 2 }), expected, 1e-6, "classifier");
    expectClose(await eps({ cfgScale: 2, classifierScale: 1 }), expected, 1e-6, "both");
  });
  test("classifier-free guidance by 1 is off, by 0 unconditional", async () => {
    expect(await eps({ cfgScale: 1 })).toEqual(await eps({}));
    expectClose(await eps({ cfgScale: 0 }), await eps({}, (n) => labels(nullLabel, n)), 1e-6, "eps");
  });
});

describe("the mean form", () => {
  /** log p(1 | x) = log sigmoid(x k), with a slope k that tells the timestep. */
  const slope = (timestep: number): number => 2 + timestep / 1000;
  const classifier: Classifier = (x, timestep) => {
    const logit = x.reshape(-1, 1).mul(timestep.div(1000).add(2).reshape(-1, 1));
    return concat([full(logit.shape, 0), logit], 1);
  };
  const closed = (x: number, timestep: number): number => slope(timestep) / (1 + Math.exp(slope(timestep) * x));

  test.each(["x_t", "mean"] as const)(
    "takes the gradient at %s, with that image's timestep, and shifts by scale Sigma g",
    async (gradientAt) => {
      const scale = 2.5;
      const ours = await compute({ x, c }, ({ x, c }) => {
        const model = { denoiser: () => x.mul(0.5), process, classifier };
        const condition = { label: labels(1, 4) };
        const plain = guide(model, { form: "mean" })(x, c, condition);
        const guided = guide(model, { form: "mean", classifierScale: scale, gradientAt })(x, c, condition);
        return {
          mean: reverseMean(plain, x, c),
          shifted: reverseMean(guided, x, c),
          x0: plain.x0,
          guidedX0: guided.x0,
        };
      });
      const at = (n: number) =>
        gradientAt === "mean"
          ? closed(ours.mean!.data[n]!, [0, 210, 473, 736][n]!)
          : closed(x.data[n]!, [0, 263, 526, 789][n]!);
      expect(chain.timesteps.filter((_, i) => [4, 5, 9, 10, 14, 15].includes(i))).toEqual([
        210, 263, 473, 526, 736, 789,
      ]);
      for (const [n, i] of indices.entries()) {
        const variance = chain.tables.posteriorVariance[i]!;
        expect(ours.shifted!.data[n]! - ours.mean!.data[n]!).toBeCloseTo(scale * variance * at(n), 6);
      }
      expect(ours.guidedX0).toEqual(ours.x0);
    },
  );

  test("the gradient is each image's own", async () => {
    const { g } = await compute({ x, label, c }, ({ x, label, c }) => ({
      g: classifierGradient(classifier, x, c.timestep, label),
    }));
    for (const [n, i] of indices.entries()) {
      const k = slope(chain.timesteps[i]!);
      const expected =
        label.data[n] === 1 ? closed(x.data[n]!, chain.timesteps[i]!) : -k / (1 + Math.exp(-k * x.data[n]!));
      expect(g!.data[n]).toBeCloseTo(expected, 6);
    }
  });
});

describe("classifier-free guidance", () => {
  /** A network of learned variances that answers with its label: value label + 1 and spread label / 4. */
  const denoiser =
    (calls: number[]) =>
    (xt: Tensor, timestep: Tensor, { label }: Condition) => {
      calls.push(xt.shape[0]!, timestep.shape[0]!, label!.shape[0]!);
      const column = label!.cast("float32").reshape(-1, 1, 1, 1);
      return concat([column.add(1).expand(...xt.shape), column.mul(0.25).expand(...xt.shape)], 1);
    };
  const learned: ProcessConfig = { ...process, variance: "learned" };

  test.each([
    ["a number", 3, [3, 3, 3, 3]],
    ["one value each", float32([4], [0, 1, 2, 3]), [0, 1, 2, 3]],
  ])("mixes one batch of 2N; scale is %s; variances are the conditional ones", async (_, scale, expected) => {
    const calls: number[] = [];
    const ours = await compute(
      { x, label, c, scale: typeof scale === "number" ? float32([], [scale]) : scale },
      (inputs) => {
        const use: Scale = typeof scale === "number" ? scale : inputs.scale;
        const predictor = classifierFree(denoiserPredictor(denoiser(calls), learned), { scale: use, nullLabel: 7 });
        const { eps, logVariance } = predictor(inputs.x, inputs.c, { label: inputs.label });
        return { eps, logVariance };
      },
    );
    expect(calls).toEqual([8, 8, 8]);
    expect(Array.from(ours.eps!.data)).toEqual(expected.map((s, n) => 8 + s * (label.data[n]! - 7)));
    expect(Array.from(ours.logVariance!.data)).toEqual(Array.from(label.data, (y) => y / 4));
  });

  test("mixes images and means of networks that predict those", async () => {
    for (const prediction of ["x0", "previous"] as const) {
      const ours = await compute({ x, label, c }, ({ x, label, c }) => {
        const predictor = classifierFree(denoiserPredictor(denoiser([]), { ...learned, prediction }), {
          scale: 2,
          nullLabel: 7,
        });
        const p = predictor(x, c, { label });
        return { value: prediction === "x0" ? p.x0 : reverseMean(p, x, c) };
      });
      expect(Array.from(ours.value!.data), prediction).toEqual([-6, -4, -4, -6]);
    }
  });
});

test("guidance that a model cannot give is refused", () => {
  const model: GuidedModel = { denoiser: (x) => x, process };
  expect(() => guide(model, { form: "score", classifierScale: 1 })).toThrow(
    /needs a noisy classifier, but the model has none/,
  );
  expect(() => guide(model, { form: "score", cfgScale: 2 })).toThrow(/need a denoiser with a null label/);
  expect(() => guide(model, { form: "score", unconditional: true })).toThrow(/need a denoiser with a null label/);
  const both = { form: "score", unconditional: true, cfgScale: 2 } as const;
  expect(() => guide({ ...model, nullLabel }, both)).toThrow(/choose one/);
});

test("guidance without labels is refused", async () => {
  const guided = compute({ x, c }, ({ x, c }) => {
    const model: GuidedModel = { denoiser: (x) => x, process, classifier: (x) => oneHot(labels(0, x.shape[0]!), 2) };
    return { x: guide(model, { form: "score", classifierScale: 1 })(x, c, {}).x0 };
  });
  await expect(guided).rejects.toThrow(/classifier guidance needs a label for each image/);
});
