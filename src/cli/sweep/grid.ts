import type { Model } from "../../checkpoint/model.ts";
import { UsageError } from "../../errors.ts";
import { type Run, settle } from "../../sampling/settings.ts";
import type { SampleValues } from "../commands/sample.ts";
import { type SweepValues, settings } from "../commands/sweep.ts";
import { runOptions } from "../sample/spec.ts";

/** A value of a setting, as JSON has it. */
export type SettingValue = string | number | boolean;

/** One combination of settings. */
export interface Cell {
  /** Every setting by the name of its option, with every choice made. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** What is drawn. */
  readonly run: Run;
  /** The model that `weakModel` names. */
  readonly weak?: Model;
}

export interface Grid {
  readonly cells: readonly Cell[];
  /** Combinations that exclude each other: how many, for each reason. */
  readonly leftOut: ReadonlyMap<string, number>;
}

/**
 * Every combination of the values that were given, in the order of the options, the last one fastest; equal ones once.
 *
 * @param weakModels the models that `weakModel` names, by these names
 */
export function gridOf(values: SweepValues, model: Model, weakModels: ReadonlyMap<string, Model> = new Map()): Grid {
  const given = settings.filter((key) => values[key] !== undefined);
  let combinations: Partial<SampleValues>[] = [{}];
  for (const key of given)
    combinations = combinations.flatMap((before) => values[key]!.map((value) => ({ ...before, [key]: value })));

  const cells = new Map<string, Cell>();
  const leftOut = new Map<string, number>();
  for (const combination of combinations) {
    try {
      const weak = weakModels.get(combination.weakModel ?? "");
      const run = settle(model, runOptions(sampleValues(values, combination), model, weak));
      const named = weak ? { ...combination, weakModel: `${combination.weakModel} ${hashOf(weak)}` } : combination;
      const cell = { settings: settingsOf(run, named), run, ...(weak && { weak }) };
      cells.set(keyOf(cell), cell);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      leftOut.set(error.message, (leftOut.get(error.message) ?? 0) + 1);
    }
  }
  const [first] = leftOut.keys();
  if (cells.size === 0) throw new UsageError(first ?? "the grid has no cell");
  return { cells: [...cells.values()], leftOut };
}

const hashOf = ({ denoiser }: Model): string => denoiser?.sha256.slice(0, 12) ?? "";

/** Two cells of equal key draw the same pictures. */
export const keyOf = ({ settings }: Pick<Cell, "settings">): string =>
  JSON.stringify(
    Object.entries(settings)
      // Version 0.1.0 did not say so of every sampler.
      .filter(([name, value]) => !(name === "levels" && value === "chain"))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Cells of equal kind take equally long for a picture: their sampler steps as often, and the same networks take part. */
export const kindOf = ({ run: { sampler, guidance }, weak }: Cell): string =>
  JSON.stringify([
    sampler.kind,
    sampler.steps,
    sampler.levels,
    "corrections" in sampler && sampler.corrections,
    guidance.classifier !== 0,
    guidance.classifierFree !== 1,
    weak && hashOf(weak),
  ]);

/** What `sample` would be told for one combination. */
function sampleValues(
  { model, class: names, count, seed, batchSize }: SweepValues,
  combination: Partial<SampleValues>,
): SampleValues {
  const none = Object.fromEntries(settings.map((key) => [key, undefined]));
  return { ...none, unconditional: false, model, class: names, count, seed, batchSize, ...combination } as SampleValues;
}

/** The settings under the names of their options: the scales that a run settled on, what else was asked, the sampler. */
function settingsOf({ guidance, sampler }: Run, combination: Partial<SampleValues>): Cell["settings"] {
  const { classifier: classifierScale, classifierFree: cfgScale, unconditional } = guidance;
  const { kind, ...ofSampler } = sampler;
  const scales = { classifierScale, cfgScale, unconditional };
  const others = Object.entries(combination).filter(
    ([key, value]) => value !== false && key !== "sampler" && !(key in scales) && !(key in ofSampler),
  );
  const plainly = (entries: [string, unknown][]) =>
    Object.fromEntries(entries.map(([key, value]) => [key, plain(value)]));
  return { ...scales, ...plainly(others), sampler: kind, ...plainly(Object.entries(ofSampler)) };
}

const plain = (value: unknown): SettingValue =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : JSON.stringify(value);

/** "classifierScale 2, cfgScale 1, ddim, steps 25" */
export const describeCell = ({ settings }: Pick<Cell, "settings">): string =>
  Object.entries(settings)
    .filter(([, value]) => value !== false)
    .map(([key, value]) => (key === "sampler" ? String(value) : value === true ? key : `${key} ${value}`))
    .join(", ");
