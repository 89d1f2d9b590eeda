import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseRecord } from "../../src/checkpoint/model.ts";
import { modelFormat } from "../../src/checkpoint/schema.ts";
import { coefficientRow } from "../../src/diffusion/noise-schedule.ts";
import type { Predictor } from "../../src/guidance/predictor.ts";
import { withoutGuidance } from "../../src/guidance/steps.ts";
import type { NDArray } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { linearSolver } from "../../src/samplers/linear.ts";
import { defineSampler, registerSampler } from "../../src/samplers/sampler.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { parseRunSpec, runSpecFormat } from "../../src/sampling/run-spec.ts";
import { collect, type SampleOptions, sample } from "../../src/sampling/sample.ts";
import { settle } from "../../src/sampling/settings.ts";
import { number } from "../../src/setting.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

const model = loadedTinyModel();
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const options = { labels: ["star", "circle"], seeds: [3, 4] };
const draw = (more: Partial<SampleOptions>): Promise<NDArray<"float32">> =>
  collect(sample(model, { ...options, ...more, backend } as SampleOptions));
const distance = (a: NDArray<"float32">, b: NDArray<"float32">): number =>
  Math.max(...Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!)));

/** Euler's steps of the probability flow, each `pace` times as far. */
const paced = defineSampler({
  kind: "paced",
  note: "Euler's method at another pace",
  settings: { pace: number("how far each step goes", { above: 0, to: 2, usual: 1, cost: "none" }) },
  steps: 4,
  levels: "chain",
  solver: (schedule, { pace }) =>
    linearSolver(
      schedule.levels
        .map(({ alpha, sigma }, index) => {
          const to = schedule.levels[index - 1] ?? { alpha: 1, sigma: 0 };
          const kept = 1 + pace * (to.sigma / sigma - 1);
          return [{ coefficients: coefficientRow(schedule, index), next: { x: kept, x0: to.alpha - alpha * kept } }];
        })
        .reverse(),
    ),
});

describe("a sampler of one's own", () => {
  const specOf = (run: ReturnType<typeof settle>): string =>
    JSON.stringify({ format: runSpecFormat, model: { name: "tiny", denoiser: "" }, device: "cpu", ...run });

  test("draws as it is, with its own settings and what is usual for it", async () => {
    const usual = await draw({ sampler: paced() });
    expect(distance(usual, await draw({ sampler: ddim({ steps: 4 }) }))).toBeLessThan(1e-4);
    expect(distance(usual, await draw({ sampler: paced({ pace: 0.9 }) }))).toBeGreaterThan(1e-3);
    const { sampler } = settle(model, { ...options, sampler: paced({ steps: 3 }) });
    expect(sampler).toMatchObject({ kind: "paced", steps: 3, levels: "chain", pace: 1 });
    expect(() => paced({ pace: 3 })).toThrow(/pace must be a number above 0 and at most 2 but is 3/);
  });

  test("is refused where its plan cannot be meant", async () => {
    const with_ = (kind: string, solver: typeof paced.solver) =>
      defineSampler({
        kind,
        note: "wrong",
        settings: {},
        steps: 4,
        levels: "chain",
        solver: (s) => solver(s, { pace: 1 }),
      });
    const upwards = with_("upwards", (schedule, settings) => {
      const solver = paced.solver(schedule, settings);
      return { ...solver, plan: solver.plan.toReversed() };
    });
    await expect(draw({ sampler: upwards() })).rejects.toThrow(/upwards: its plan begins with the least noise/);
    const misspelt = with_("misspelt", (schedule) =>
      linearSolver([[{ coefficients: coefficientRow(schedule, 0), next: { xo: 1 } }]]),
    );
    await expect(draw({ sampler: misspelt() })).rejects.toThrow(/sums are of x, x0, noise, but one has "xo"/);
    expect(() => with_("Bad Kind", paced.solver)).toThrow(/small letters, digits, \+ and -.*"Bad Kind"/);
  });

  test("is known to records once it is registered; before, they say where it comes from", async () => {
    const run = settle(model, { ...options, sampler: paced({ pace: 0.5 }) });
    const unknown = /"paced" is no sampler that is known here \(ddim, .*, pc, .*\); one of your own .* registerSampler/;
    const record = JSON.stringify({
      ...{ format: modelFormat, classes: ["a"], imageShape: [1, 8, 8], preprocessing: {} },
      sampling: { sampler: "paced", pace: 0.5 },
    });
    expect(() => parseRunSpec(specOf(run), "mine.png")).toThrow(/^mine\.png: /);
    expect(() => parseRunSpec(specOf(run), "mine.png")).toThrow(unknown);
    expect(() => parseRecord(record, "runs/mine/model.json")).toThrow(/^runs\/mine\/model\.json: sampling: /);
    expect(() => parseRecord(record, "runs/mine/model.json")).toThrow(unknown);
    expect(() => makeSampler("paced")).toThrow(unknown);

    registerSampler(paced);
    registerSampler(paced);
    const { sampler } = parseRunSpec(specOf(run), "mine.png");
    expect(sampler).toEqual({ kind: "paced", steps: 4, levels: "chain", pace: 0.5 });
    expect(settle({ ...model, ...parseRecord(record, "x"), classes: model.classes }, options).sampler).toEqual(sampler);
    expect(await draw({ sampler })).toEqual(await draw({ sampler: paced({ pace: 0.5 }) }));
    expect(() => registerSampler({ ...paced })).toThrow(/there is a sampler "paced" already/);
  });
});

describe("a guidance of one's own", () => {
  /** Makes pictures darker by moving the image that is expected. */
  const darker =
    (by: number) =>
    (predictor: Predictor): Predictor =>
    (xt, c, condition) => {
      const { x0, ...prediction } = predictor(xt, c, condition);
      return { ...prediction, x0: x0.sub(by) };
    };
  const sampler = makeSampler("dpm++2m", { steps: 4 });

  test("maps the predictor of all guidance before it", async () => {
    const [plain, dark] = [await draw({ sampler }), await draw({ sampler, guides: [darker(0.3)] })];
    expect(distance(plain, dark)).toBeGreaterThan(0.1);
    const twice = await draw({ sampler, guides: [darker(0.1), darker(0.2)] });
    expect(distance(dark, twice)).toBeLessThan(1e-5);
  });

  test("counts inside the interval of guidance only, also where it is the only one", async () => {
    const off = { cfgScale: 1, classifierScale: 0 };
    const nowhere = { ...off, guidanceInterval: [1e6, 1e7] } as const;
    const wrong = (predictor: Predictor): Predictor =>
      function halved(x, c, condition) {
        const prediction = predictor(x, c, condition);
        return { ...prediction, eps: prediction.eps.mean([1, 2, 3]) };
      };
    await expect(draw({ sampler, guides: [darker(0.1), wrong] })).rejects.toThrow(
      /^guides\[1\] \(wrong\): eps of its prediction must be \[.*\], as x_t, but is \[.*\]$/,
    );
    const dark = { sampler, guides: [darker(0.3)] };
    expect(await draw({ ...dark, guidance: nowhere })).toEqual(await draw({ sampler, guidance: off }));
    expect(await draw({ ...dark, guidance: { ...off, guidanceInterval: [0, 1e6] } })).toEqual(
      await draw({ ...dark, guidance: off }),
    );
  });

  test("is marked in a settled run, and a record that holds the mark is refused", () => {
    const run = settle(model, { ...options, sampler, guides: [darker(0.3)] });
    expect(run.ownGuides).toBe(true);
    const spec = { format: runSpecFormat, model: { name: "tiny", denoiser: "" }, device: "cpu", ...run };
    expect(() => parseRunSpec(JSON.stringify(spec), "mine.png")).toThrow(
      /^mine\.png: .*guidance of a program's own took part, which no record holds/,
    );
    expect(withoutGuidance(run.guidance)).toMatchObject({ cfgScale: 1, classifierScale: 0 });
  });
});
