import type { Model } from "../../checkpoint/model.ts";
import { UsageError } from "../../errors.ts";
import { guidanceSettings, guidances } from "../../guidance/guidances.ts";
import { settleGuidance } from "../../guidance/settle.ts";
import { visiting } from "../../samplers/levels.ts";
import { definitionOf } from "../../samplers/sampler.ts";
import { type SettledRun, settle } from "../../sampling/settings.ts";
import { costOf, withUsual } from "../../setting.ts";
import type { SampleValues } from "../sample/command.ts";
import { runOptions } from "../sample/spec.ts";
import { type SweepValues, settings } from "./command.ts";

/** A value of a setting, as JSON has it. */
export type SettingValue = string | number | boolean;

/** One combination of settings. */
export interface Cell {
  /** Every setting by the name of its option, with every choice made. */
  readonly settings: Readonly<Record<string, SettingValue>>;
  /** What is drawn. */
  readonly run: SettledRun;
  /** The model that `weakModel` names. */
  readonly weakModel?: Model;
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
      const weakModel = weakModels.get(combination.weakModel ?? "");
      const run = settle(model, runOptions(sampleValues(values, combination), model, weakModel));
      const named = weakModel && { weakModel: `${combination.weakModel} ${hashOf(weakModel)}` };
      const cell = { settings: settingsOf(run, { ...combination, ...named }), run, ...(weakModel && { weakModel }) };
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

/** Two cells of equal key draw the same pictures. What is off is not in it, for older versions did not always write that. */
export const keyOf = ({ settings }: Pick<Cell, "settings">): string =>
  JSON.stringify(
    Object.entries(settings)
      .filter(([name, value]) => value !== offValues[name])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
const offValues: Readonly<Record<string, unknown>> = { levels: "chain", ...withUsual(guidanceSettings, {}) };

/** Cells of equal kind take equally long for a picture: their sampler steps as often, and the same networks take part. */
export const kindOf = ({ run: { sampler, guidance }, weakModel }: Cell): string =>
  JSON.stringify([
    sampler.kind,
    costOf({ ...visiting, ...definitionOf(sampler).settings }, sampler),
    costOf(guidanceSettings, guidance),
    weakModel && hashOf(weakModel),
  ]);

/** What `sample` would be told for one combination. */
function sampleValues(
  { model, class: names, count, seed, batchSize }: SweepValues,
  combination: Partial<SampleValues>,
): SampleValues {
  const none = Object.fromEntries(settings.map((key) => [key, undefined]));
  return { ...none, model, class: names, count, seed, batchSize, ...combination } as SampleValues;
}

/** The settings by their names: scales and what else of guidance is on or was asked for, the weak model, the sampler. */
function settingsOf(
  { guidance, sampler }: SettledRun,
  { sampler: _, ...asked }: Partial<SampleValues>,
): Cell["settings"] {
  const { kind, definition: __, ...ofSampler } = sampler;
  const isShown = (name: string, value: unknown): boolean =>
    name in asked || alwaysShown.includes(name) || value !== offValues[name];
  const plainly = (values: object, keep: (name: string, value: unknown) => boolean = () => true) =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => (keep(name, value) ? [[name, plain(value)]] : [])),
    );
  return {
    ...plainly(guidance, isShown),
    ...plainly(asked, (name) => !(name in guidance) && !(name in ofSampler)),
    sampler: kind,
    ...plainly(ofSampler),
  };
}

/** Settings of guidance that each cell names: whether a class is told, and the scales of a model's own networks. */
const alwaysShown = guidances.flatMap(({ scale, network, always, settings }) => {
  if (always) return Object.keys(settings);
  return scale === undefined || network === "weakModel" ? [] : [scale];
});

/** Settings as a line of cells.jsonl has them, with the choices that version 0.1.0 made and left out. */
export function completeSettings(settings: Cell["settings"]): Cell["settings"] {
  const json = (value: SettingValue): unknown => (/^\[/.test(String(value)) ? JSON.parse(String(value)) : value);
  const asked = Object.entries(settings).filter(([name]) => name in guidanceSettings);
  const facts = { nullLabel: true, classifier: true, weakModel: "weakModel" in settings };
  const settled = settleGuidance(Object.fromEntries(asked.map(([name, value]) => [name, json(value)])), facts, {});
  const missing = Object.entries(settled).filter(([name, value]) => !(name in settings) && value !== offValues[name]);
  return { ...settings, ...Object.fromEntries(missing.map(([name, value]) => [name, plain(value)])) };
}

const plain = (value: unknown): SettingValue =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : JSON.stringify(value);

/** "unconditional, ddim, steps 25, levels chain, eta 0" */
export const describeCell = ({ settings }: Pick<Cell, "settings">): string =>
  Object.entries(settings)
    .filter(([, value]) => value !== false)
    .map(([key, value]) => (key === "sampler" ? String(value) : value === true ? key : `${key} ${value}`))
    .join(", ");
