import { labelOf, splitNames } from "../class-names.ts";
import { UsageError } from "../errors.ts";
import { type Guidance, guidanceSettings } from "../guidance/guidances.ts";
import { visiting } from "../samplers/levels.ts";
import { definitionOf, samplerSettings } from "../samplers/sampler.ts";
import type { AskedSampler } from "../samplers/samplers.ts";
import { readSetting, type Setting, type Settings, textOf, whole, wordOf } from "../setting.ts";
import { type Described, type SettledRun, settle } from "./settings.ts";

/**
 * A run in texts, under the names of the command line's flags: `{ class: "3,7", seed: "7", "cfg-scale": "2" }`. Links, attributes of an element
 * and forms are such.
 */
export type RunTexts = Readonly<Record<string, string>>;

const most = 100_000;
const counts = {
  count: whole("pictures to draw, the classes in turn", { from: 1, to: most, cost: "none" }),
  seed: whole("seed of the first picture; the others follow", { from: 0, to: 2 ** 52, cost: "none" }),
};

const samplingSettings = (): Settings => ({
  ...visiting,
  ...Object.fromEntries(Array.from(samplerSettings(), ([name, { setting }]) => [name, setting])),
});

/**
 * The run that texts ask for, with every choice made.
 *
 * @param texts `class` ("*" is every one), `count` (one for each class named), `seed`, `sampler`, and settings of sampler and guidance
 * @throws UsageError, which names the text, for one that is unknown or out of range, and as `settle`
 */
export function runOfTexts(texts: RunTexts, model: Described): SettledRun {
  const { class: names = "*", sampler, ...rest } = texts;
  const labels = names === "*" ? [] : splitNames(names, model.classes);
  if (names !== "*" && labels.length === 0) throw new UsageError(`class names no class: "${names}"`);
  const read = (settings: Settings): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(settings).flatMap(([name, setting]) => {
        const word = wordOf(name);
        const text = rest[word];
        delete (rest as Record<string, string>)[word];
        return text === undefined ? [] : [[name, readSetting(setting, text, word)]];
      }),
    );
  const { seed = 0, count = Math.max(1, names === "*" ? model.classes.length : labels.length) } = read(counts) as {
    readonly seed?: number;
    readonly count?: number;
  };
  const asked: AskedSampler = { ...read(samplingSettings()), ...(sampler !== undefined && { kind: sampler }) };
  const guidance: Guidance = read(guidanceSettings);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new UsageError(`"${unknown}" is no setting of a run; leave it out`);
  return settle(model, {
    ...(labels.length > 0 && { labels: labels.map((label) => labelOf(label, model)) }),
    seeds: Array.from({ length: count }, (_, i) => seed + i),
    sampler: asked,
    guidance,
  });
}

/** Settings of a run that are not what its model's would be where nothing is asked for but the sampler's kind. */
export interface Changed {
  readonly sampler: Readonly<Record<string, unknown>>;
  readonly guidance: Readonly<Record<string, unknown>>;
}

/**
 * What has to be asked for to get a run: little, or every setting where asking for less gives another one.
 *
 * @throws UsageError where the model cannot serve the run's sampler
 */
export function changedOf(run: SettledRun, model: Described): Changed {
  const { kind } = run.sampler;
  const own = { ...visiting, ...definitionOf(run.sampler).settings };
  const all = { sampler: only(own, run.sampler), guidance: only(guidanceSettings, run.guidance) };
  const usual = settle(model, { ...run, sampler: { kind }, guidance: {} });
  const changed = {
    sampler: { steps: run.sampler.steps, ...differing(all.sampler, usual.sampler) },
    guidance: differing(all.guidance, usual.guidance),
  };
  try {
    const again = settle(model, { ...run, sampler: { ...changed.sampler, kind }, guidance: changed.guidance });
    if (same(again.sampler, run.sampler) && same(again.guidance, run.guidance)) return changed;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  return all;
}

/**
 * The texts of a run: the reverse of `runOfTexts`.
 *
 * @throws UsageError for seeds that don't follow each other, which texts cannot say, and as `changedOf`
 */
export function textsOfRun(run: SettledRun, model: Described): RunTexts {
  const { seeds, labels } = run;
  if (seeds.some((seed, i) => seed !== seeds[0]! + i))
    throw new UsageError(
      "the seeds of these pictures don't follow each other, so a first seed and a count cannot say them",
    );
  const { sampler, guidance } = changedOf(run, model);
  const turn = turnOf(labels);
  const isAll = turn.length === model.classes.length && turn.every((label, i) => label === i);
  return {
    ...(model.classes.length > 0 && { class: isAll ? "*" : turn.map((label) => model.classes[label]).join(",") }),
    count: String(seeds.length),
    seed: String(seeds[0]),
    sampler: run.sampler.kind,
    ...Object.fromEntries(
      Object.entries({ ...sampler, ...guidance }).map(([name, value]) => [wordOf(name), textOf(value)]),
    ),
  };
}

/** The shortest beginning of labels that gives all of them in turn. */
export function turnOf(labels: readonly number[]): readonly number[] {
  const length = labels.findIndex((_, n) => n > 0 && labels.every((label, i) => label === labels[i % n]));
  return length < 0 ? labels : labels.slice(0, length);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const only = (settings: Readonly<Record<string, Setting>>, values: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(values).filter(([name, value]) => Object.hasOwn(settings, name) && value !== undefined),
  );

const differing = (values: Readonly<Record<string, unknown>>, usual: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !same(value, (usual as Record<string, unknown>)[name])),
  );
