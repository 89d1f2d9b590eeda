import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseRecord } from "../../src/checkpoint/model.ts";
import { modelFormat } from "../../src/checkpoint/schema.ts";
import { sweep } from "../../src/cli/sweep/command.ts";
import { flagOf, type OptionTable } from "../../src/cli/terminal/option.ts";
import { describeGuidance, guidanceSettings, guidances, recordedSettings } from "../../src/guidance/guidances.ts";
import { describeSampler, knownSamplers } from "../../src/samplers/sampler.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import { parseRunSpec, runSpecFormat } from "../../src/sampling/run-spec.ts";
import { costOf, type Setting, type Settings, usualValue, withUsual } from "../../src/setting.ts";
import { loadedBy, sourceFiles } from "../support/imports.ts";
import { guidestar } from "./world.ts";

const src = fileURLToPath(new URL("../../src", import.meta.url));

/** A value of a setting that is not the usual one. */
function otherValue(setting: Setting): unknown {
  const choices = setting.placeholder?.split("|") ?? [];
  const found = [0.5, 0.3, 2, 3, true, ...choices, [0.2, 5], [0, 1, 2]].find(
    (value) => setting.accepts(value) && value !== usualValue(setting),
  );
  expect(found).toBeDefined();
  return found;
}

/** Values that a setting does not accept. */
const wrongValues = (setting: Setting): unknown[] =>
  [-1, 1.5, 1e9, 1e300, Number.NaN, "x", null, [2, 1], []].filter((value) => !setting.accepts(value));

const ofSamplers = knownSamplers().flatMap(({ kind, settings }) =>
  Object.entries(settings).map(([name, setting]): [string, string, Setting] => [kind, name, setting]),
);
const ofGuidance = Object.entries(guidanceSettings as Settings);
const all = [...ofSamplers.map(([, name, setting]): [string, Setting] => [name, setting]), ...ofGuidance];

const specWith = (change: { readonly sampler?: object; readonly guidance?: object }): string =>
  JSON.stringify({
    format: runSpecFormat,
    model: { name: "digits", denoiser: "" },
    device: "cpu",
    labels: [0],
    seeds: [0],
    sampler: makeSampler("ddim"),
    guidance: withUsual(guidanceSettings, {}),
    clip: true,
    batchSize: 1,
    ...change,
  });
const modelWith = (sampling: object): string =>
  JSON.stringify({ format: modelFormat, classes: ["a"], imageShape: [1, 8, 8], preprocessing: {}, sampling });

test("there are settings to hold", () => {
  expect(ofSamplers.length).toBeGreaterThanOrEqual(10);
  expect(ofGuidance.length).toBeGreaterThanOrEqual(13);
  for (const { scale, settings } of guidances)
    if (scale !== undefined) expect(usualValue(settings[scale]!)).toEqual(expect.any(Number));
});

describe("a record of a run holds every setting", () => {
  test.each(ofSamplers)("of sampler %s: %s", (kind, name, setting) => {
    const sampler = { ...makeSampler(kind), [name]: otherValue(setting) };
    expect(parseRunSpec(specWith({ sampler }), "x.png").sampler).toEqual(sampler);
    for (const wrong of wrongValues(setting))
      expect(() => parseRunSpec(specWith({ sampler: { ...sampler, [name]: wrong } }), "x.png")).toThrow(
        new RegExp(`^x\\.png: .*: sampler: ${name} must be `),
      );
  });
  test.each(ofGuidance)("of guidance: %s", (name, setting) => {
    const guidance = { ...withUsual(guidanceSettings, {}), [name]: otherValue(setting) };
    expect(parseRunSpec(specWith({ guidance }), "x.png").guidance).toEqual(guidance);
    for (const wrong of wrongValues(setting))
      expect(() => parseRunSpec(specWith({ guidance: { ...guidance, [name]: wrong } }), "x.png")).toThrow(
        new RegExp(`^x\\.png: .*: guidance: ${name} must be `),
      );
  });
  test("and no number that 32 bits do not hold", () => {
    const guidance = { ...withUsual(guidanceSettings, {}), cfgScale: 1e39 };
    expect(() => parseRunSpec(specWith({ guidance }), "x.png")).toThrow(
      /guidance: cfgScale must be a .*number.* but is 1e\+39, more than the 32 bits of a number hold/,
    );
  });
  test("and nothing else", () => {
    const [sampler, guidance] = [{ ...makeSampler("ddim"), eto: 1 }, { cfgScala: 1 }];
    expect(() => parseRunSpec(specWith({ sampler }), "x.png")).toThrow(
      /sampler ddim has no setting "eto"; it has .*eta/,
    );
    expect(() => parseRunSpec(specWith({ guidance }), "x.png")).toThrow(/cfgScala is no setting; expected .*cfgScale/);
  });
});

describe("a model's record holds every setting", () => {
  const held = [
    ...ofSamplers,
    ...Object.entries(recordedSettings).map(([name, setting]) => [undefined, name, setting] as const),
  ];
  test.each(held)("%s %s", (sampler, name, setting) => {
    const sampling = { ...(sampler && { sampler }), [name]: otherValue(setting) };
    expect(parseRecord(modelWith(sampling), "model.json").sampling).toEqual(sampling);
    for (const wrong of wrongValues(setting))
      expect(() => parseRecord(modelWith({ ...sampling, [name]: wrong }), "runs/a/model.json")).toThrow(
        new RegExp(`^runs/a/model\\.json: sampling: ${name} must be `),
      );
  });
});

describe("records of version 1 are read under today's names", () => {
  test("of a run, and of its second model", () => {
    const guidance = {
      ...{ classifier: 1, classifierFree: 3, gradientAt: "x_t", unconditional: false, autoguidance: 2, rescale: 0.5 },
      ...{ apg: { eta: 0, threshold: 2, momentum: -0.5 }, interval: [0.2, 5], schedule: "cosine" },
    };
    const { batchSize: _, ...spec } = JSON.parse(specWith({}));
    const run = { sampler: { kind: "ddim", steps: 5, eta: 0.5 }, guidance, clip: true, batch: 4 };
    const second = { name: "large", denoiser: "" };
    const old = { ...spec, format: "guidestar-run-1", ...run, weak: second, upsampler: { ...second, ...run } };
    const now = {
      sampler: { kind: "ddim", steps: 5, levels: "chain", eta: 0.5 },
      guidance: withUsual(guidanceSettings, {
        ...{ classifierScale: 1, cfgScale: 3, autoguidanceScale: 2, cfgRescale: 0.5 },
        ...{ apgEta: 0, apgThreshold: 2, apgMomentum: -0.5, guidanceInterval: [0.2, 5], guidanceSchedule: "cosine" },
      }),
      clip: true,
      batchSize: 4,
    };
    expect(parseRunSpec(JSON.stringify(old), "x.png")).toEqual({
      ...{ ...spec, format: runSpecFormat, ...now },
      ...{ weakModel: second, upsampler: { ...second, ...now } },
    });
    expect(() => parseRunSpec(JSON.stringify({ ...old, guidance: { ...guidance, w: 1 } }), "x.png")).toThrow(
      /guidance: w is no setting/,
    );
  });

  test("of a model", () => {
    const sampling = { sampler: "ddpm", steps: 30, classifierFree: 1.5, classifier: 1, unconditionalClassifier: 3 };
    const old = JSON.stringify({ ...JSON.parse(modelWith(sampling)), format: "guidestar-model-1" });
    expect(parseRecord(old, "model.json").sampling).toEqual({
      ...{ sampler: "ddpm", steps: 30, cfgScale: 1.5, classifierScale: 1, unconditionalClassifierScale: 3 },
    });
  });
});

describe("the command line takes every setting", () => {
  test("with its help", async () => {
    const { out } = await guidestar(["sample", "--help"]);
    const text = out.replaceAll(/\s+/g, " ");
    for (const [name, setting] of all) {
      expect(text).toContain(` ${flagOf(name)} `);
      expect(text).toContain(setting.help.replaceAll(/\s+/g, " "));
    }
    for (const { kind, note } of knownSamplers()) expect(text).toContain(`${kind} ${note}`);
  });

  test("and refuses one out of range, by its flag", async () => {
    for (const [name, setting] of all) {
      if (setting.placeholder === undefined) continue;
      const wrong = ["-1", "1e9", "x", "2:1"].find((text) => !setting.accepts(setting.read(text)))!;
      const { code, messages } = await guidestar(["sample", `${flagOf(name)}=${wrong}`, "--out", "none.png"]);
      expect({ code, messages }).toMatchObject({
        code: 2,
        messages: expect.stringContaining(`${flagOf(name)} must be ${setting.expected} but is "${wrong}"`),
      });
    }
  });

  test("as an axis of a sweep too", () => {
    const options: OptionTable = sweep.options;
    for (const [name, setting] of all) {
      const value = otherValue(setting);
      const text = Array.isArray(value) ? value.join(name === "guidanceInterval" ? ":" : ",") : String(value);
      const given = value === true ? "yes" : text;
      expect(options[name]?.parse(given, flagOf(name)), name).toEqual([value]);
    }
  });
});

describe("what is not usual is said, and counts for the time of a step", () => {
  test.each(ofSamplers)("sampler %s: %s", (kind, name, setting) => {
    const [usual, other] = [makeSampler(kind), makeSampler(kind, { [name]: otherValue(setting) })];
    expect(describeSampler(usual)).not.toContain(name);
    expect(describeSampler(usual, true)).toContain(`${name} ${usualValue(setting)}`);
    expect(describeSampler(other)).toContain(`${name} ${otherValue(setting)}`);
    const { settings } = knownSamplers().find((each) => each.kind === kind)!;
    expect(costOf(settings, usual) === costOf(settings, other)).toBe(setting.cost === "none");
  });

  test.each(ofGuidance)("guidance: %s", (name, setting) => {
    // The others guide, so that what changes them has something to change.
    const guided = withUsual(guidanceSettings, { cfgScale: 1.5, classifierScale: 1, autoguidanceScale: 1.5 });
    const other = { ...guided, [name]: otherValue(setting) };
    expect(describeGuidance(other)).not.toBe(describeGuidance(guided));
    const usual = { ...guided, [name]: usualValue(setting) };
    expect(costOf(guidanceSettings, usual) === costOf(guidanceSettings, other)).toBe(setting.cost === "none");
  });
});

describe("one thing has one place", () => {
  const sources = new Map(sourceFiles(src).map((path) => [path, readFileSync(join(src, path), "utf8")]));
  const filesWith = (pattern: RegExp): string[] =>
    [...sources].filter(([, text]) => pattern.test(text)).map(([path]) => path);

  test("the kind of a sampler is named in at most two files", () => {
    for (const { kind } of knownSamplers()) {
      const named = filesWith(new RegExp(`"${kind.replaceAll("+", "\\+")}"`));
      // A process of noise is called ddpm too, and ddim25 is a respacing.
      const others = named.filter((path) => !/^(diffusion|training|checkpoint|cli\/train)/.test(path));
      expect(others.length, `${kind}: ${others}`).toBeLessThanOrEqual(2);
    }
  });

  test("a number of guidance is named in at most three files", () => {
    for (const [name, { placeholder }] of ofGuidance) {
      // A threshold is also what the documentation calls others.
      if (placeholder !== "x" || name === "threshold") continue;
      const named = filesWith(new RegExp(`\\b${name}\\b`));
      expect(named.length, `${name}: ${named}`).toBeLessThanOrEqual(3);
    }
    expect(filesWith(/\bthreshold\b(?!\.ts)/).filter((path) => path.startsWith("cli/"))).toEqual([]);
  });
});

test("the help loads neither schemas nor engine, no model and no picture", () => {
  const loaded = loadedBy(src, "cli/main.ts");
  expect(loaded).toContain("samplers/solvers/heun.ts");
  expect(loaded.filter((name) => !/\.ts$|^node:/.test(name))).toEqual(["commander"]);
  expect(
    loaded.filter((name) => /^(runtime|onnx|images|formats|files|checkpoint|sampling|training)\//.test(name)),
  ).toEqual([]);
});
