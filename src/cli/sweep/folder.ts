import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError, ModelError } from "../../errors.ts";
import type { Estimate } from "../../evaluation/metrics/bootstrap.ts";
import { writeAtomically } from "../../files/atomic.ts";
import { makeFolder } from "../../files/make-folder.ts";
import { type Cell, completeSettings, keyOf } from "./grid.ts";

/** What all cells of a folder have in common, so that they can be compared. */
export interface SweepRecord {
  readonly format: typeof format;
  /** SHA-256 of the networks. */
  readonly denoiser: string;
  readonly classifier: string | null;
  readonly classes: string;
  readonly count: number;
  readonly seed: number;
  readonly detector: string;
  readonly reference: string;
}
export const format = "guidestar-sweep-1";

/** The measures of a cell; null where the detector or the reference does not give one. */
export const metricNames = ["fid", "sfid", "precision", "recall", "kid", "inceptionScore", "accuracy"] as const;
export type MetricName = (typeof metricNames)[number];
export type Metrics = { readonly [K in MetricName]: Estimate | null };

/** A finished cell: its settings, and what was measured. */
export interface Finished extends Pick<Cell, "settings"> {
  readonly metrics: Metrics;
  readonly count: number;
  readonly referenceCount: number;
  /** Drawing and measuring. */
  readonly seconds: number;
}

/** A folder of finished cells, one JSON object in each line of `cells.jsonl`. */
export interface SweepFolder {
  readonly finished: readonly Finished[];
  /** Adds one; after a crash at any moment the file holds it whole, or not at all. */
  add(cell: Finished): Promise<void>;
}

/**
 * The finished cells of a folder, which need not be there yet.
 *
 * @throws ModelError where it holds a sweep of another model, or of other pictures; DataError where its files are damaged. What is
 *   there stays.
 */
export async function openSweep(folder: string, record: SweepRecord): Promise<SweepFolder> {
  const recordFile = join(folder, "sweep.json");
  const cellsFile = join(folder, "cells.jsonl");
  const before = await readText(recordFile);
  if (before !== undefined) checkRecord(before, record, recordFile);
  const text = await readText(cellsFile);
  if (text !== undefined && before === undefined)
    throw new DataError(
      `${cellsFile}: there are cells, but no ${recordFile} says of which model; choose another --out`,
    );
  const finished = (text ?? "")
    .split("\n")
    .flatMap((line, i) => (line === "" ? [] : [parseLine(line, `${cellsFile}, line ${i + 1}`)]));

  return {
    get finished() {
      return finished;
    },
    async add(cell) {
      makeFolder(folder);
      if (finished.length === 0) await writeAtomically(recordFile, `${JSON.stringify(record, null, 2)}\n`);
      finished.push(cell);
      await writeAtomically(cellsFile, finished.map((each) => `${JSON.stringify(lineOf(each))}\n`).join(""));
    },
  };
}

/** The cells of a grid that are not finished. */
export function remaining(cells: readonly Cell[], finished: readonly Finished[]): Cell[] {
  const done = new Set(finished.map(keyOf));
  return cells.filter((cell) => !done.has(keyOf(cell)));
}

const readText = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new DataError(`${path}: cannot be read (${(cause as Error).message})`, { cause });
  }
};

function checkRecord(text: string, now: SweepRecord, where: string): void {
  let before: Partial<Record<string, unknown>>;
  try {
    before = JSON.parse(text) as typeof before;
  } catch (cause) {
    throw new DataError(`${where}: not JSON; choose another --out`, { cause });
  }
  const different = Object.entries(now).filter(([key, value]) => before[key] !== value);
  if (different.length === 0) return;
  const changes = different.map(
    ([key, value]) => `${key} was ${JSON.stringify(before[key])}, now ${JSON.stringify(value)}`,
  );
  throw new ModelError(
    `${where}: the sweep there is of another model or of other pictures, whose cells cannot be compared with these: ${changes.join("; ")}. Choose another --out; what is there stays`,
  );
}

/** A cell as its line has it: settings, then each metric as `fid` and `fidError`, side by side. */
function lineOf({ settings, metrics, ...rest }: Finished): Readonly<Record<string, unknown>> {
  const measured = metricNames.flatMap((name) => {
    const metric = metrics[name];
    return [
      [name, metric?.value ?? null],
      [`${name}Error`, metric?.error ?? null],
    ];
  });
  return { ...settings, ...Object.fromEntries(measured), ...rest };
}

function parseLine(line: string, where: string): Finished {
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(line) as typeof values;
  } catch (cause) {
    throw new DataError(`${where}: not JSON; delete the line to measure its cell again`, { cause });
  }
  const taken = new Set<string>(["count", "referenceCount", "seconds"]);
  const number = (name: string): number => {
    const value = values[name];
    if (typeof value === "number") return value;
    throw new DataError(`${where}: "${name}" is missing; delete the line to measure its cell again`);
  };
  const metrics = metricNames.map((name) => {
    taken.add(name).add(`${name}Error`);
    return [name, values[name] === null ? null : { value: number(name), error: number(`${name}Error`) }] as const;
  });
  return {
    settings: completeSettings(
      Object.fromEntries(Object.entries(values).filter(([key]) => !taken.has(key))) as Cell["settings"],
    ),
    metrics: Object.fromEntries(metrics) as Metrics,
    count: number("count"),
    referenceCount: number("referenceCount"),
    seconds: number("seconds"),
  };
}
