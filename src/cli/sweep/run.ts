import { basename } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { counted } from "../../counted.ts";
import { noiseRatio } from "../../diffusion/noise-level.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { classesOf } from "../../evaluation/detectors/fits.ts";
import { realAgainstReal } from "../../evaluation/real.ts";
import { lockFolder } from "../../files/lock.ts";
import { scalesAt } from "../../guidance/steps.ts";
import { float32, type NDArray, sizeOf } from "../../ndarray.ts";
import { openBackend } from "../../runtime/node.ts";
import { samplingSchedule } from "../../samplers/levels.ts";
import { collect, sample } from "../../sampling/sample.ts";
import type { Context } from "../terminal/command.ts";
import { duration, type Progress, progress } from "../terminal/progress.ts";
import type { SweepValues } from "./command.ts";
import { type Finished, format, metricNames, openSweep, remaining, type SweepRecord } from "./folder.ts";
import { type Cell, describeCell, gridOf, kindOf } from "./grid.ts";
import { measure, type Ruler } from "./measure.ts";
import { detectorFor, openReference, type Surroundings } from "./reference.ts";
import { writeReport } from "./report.ts";

/** `guidestar sweep`. */
export async function runSweep(values: SweepValues, { terminal, signal }: Context): Promise<void> {
  const { out, count, seed, device, threads, dryRun } = values;
  const model = await loadModel(values.model);
  const weakModels = new Map<string, Model>();
  for (const name of values.weakModel ?? []) if (name) weakModels.set(name, await loadModel(name));
  const { cells, leftOut } = gridOf(values, model, weakModels);
  const shown = progress(terminal);
  for (const [reason, times] of leftOut) shown.say(`${times} combinations left out: ${reason}`);

  await using backend = await openBackend({ device, ...(threads && { threads }) });
  const seeing = await detectorFor(values.detector, model, backend);
  await using detector = seeing.detector;
  const real = await openReference(values, model, seeing, { backend, signal, shown });
  const record: SweepRecord = {
    format,
    denoiser: model.denoiser?.sha256 ?? "",
    classifier: model.classifier?.sha256 ?? null,
    // As it was recorded when all had no other name.
    classes: values.class === "*" && !model.classes.includes("all") ? "all" : values.class,
    count,
    seed,
    detector: detector.name,
    reference: real.name,
  };
  await using _lock = dryRun ? undefined : await lockFolder(out);
  const folder = await openSweep(out, record);
  const left = remaining(cells, folder.finished);
  const done = cells.length - left.length;
  if (dryRun) {
    const lines = cells.map((cell) => `${left.includes(cell) ? "      " : "done  "}${describeCell(cell)}\n`);
    const [first] = left;
    const time = first ? await estimate(model, left, { backend, signal }) : 0;
    return terminal.out(
      `${lines.join("")}${counted(cells.length, "cell")} of ${counted(count, "picture")}, ${done} done; about ${duration(time)} for the others\n`,
    );
  }

  const reference = await real.look();
  const ruler: Ruler = { detector, reference, classes: labelsFor(model, detector), backend, signal };
  const floor = await realAgainstReal(count, reference, { backend, signal });
  if (floor) shown.say(`real images (${floor.what}): ${describeNumbers(floor)}`);
  const about = {
    count,
    real: floor,
    title: `${basename(values.model)}: guidance swept`,
    subtitle: `${counted(count, "picture")} a cell, against the ${real.name}, seen by the detector "${detector.name}"`,
  };
  warnOfBias(count, detector.width, shown);
  const began = performance.now();
  for (const [n, cell] of left.entries()) {
    const start = performance.now();
    const pictures = await draw(model, cell, { backend, signal }, (part) => {
      const soFar = (performance.now() - began) / 1000;
      const rest = n + part > 0.02 ? `, ${duration((soFar / (n + part)) * (left.length - n - part))} left` : "";
      shown.update(done + n, cells.length, `cells${rest}; ${describeCell(cell)}: ${Math.round(100 * part)}%`);
    });
    const metrics = await measure(pictures, cell.run.labels, ruler);
    const seconds = Number(((performance.now() - start) / 1000).toFixed(1));
    const finished = { settings: cell.settings, metrics, count, referenceCount: reference.features.rows, seconds };
    await folder.add(finished);
    await writeReport(out, folder.finished, about);
    shown.say(`${describeCell(cell)}: ${describeNumbers(metrics)}, ${seconds} s`);
    shown.update(done + n + 1, cells.length, "cells");
  }
  shown.end();
  const report = await writeReport(out, folder.finished, about);
  terminal.out([`${out}/cells.jsonl`, ...report, ""].join("\n"));
}

/** The detector's class for each of the model's; undefined where it does not know them all. */
function labelsFor({ classes }: Model, detector: Detector): number[] | undefined {
  const found = classesOf(detector, classes);
  return found.length > 0 && !found.includes(undefined) ? (found as number[]) : undefined;
}

/** A part at a time, so that no more than about 64 MB of pictures are on the way. */
async function draw(
  model: Model,
  { run, weakModel }: Cell,
  { backend, signal }: Surroundings,
  tell: (share: number) => void,
): Promise<NDArray<"float32">> {
  const pixels = sizeOf(model.imageShape);
  const count = run.seeds.length;
  const part = Math.max(run.batchSize, Math.floor(2 ** 22 / pixels));
  const data = new Float32Array(count * pixels);
  for (let start = 0; start < count; start += part) {
    const options = {
      ...run,
      ...(weakModel && { weakModel }),
      seeds: run.seeds.slice(start, start + part),
      labels: run.labels.slice(start, start + part),
    };
    const share = options.seeds.length / count;
    async function* told() {
      for await (const event of sample(model, { ...options, backend, signal })) {
        tell(start / count + (share * event.step) / event.steps);
        yield event;
      }
    }
    data.set((await collect(told())).data, start * pixels);
  }
  return float32([count, ...model.imageShape], data);
}

/** Seconds that cells take, from one batch of each kind. */
async function estimate(model: Model, cells: readonly Cell[], around: Surroundings): Promise<number> {
  const kinds = new Map<string, number>();
  let total = 0;
  for (const cell of cells) {
    const kind = kindOf(cell);
    if (!kinds.has(kind)) kinds.set(kind, await secondsOf(model, cell, around));
    total += kinds.get(kind)! * cell.run.seeds.length;
  }
  return total;
}

/** Seconds for a picture: as many steps as there are, with guidance and without, by the time of one of each after the first. */
async function secondsOf(model: Model, { run, weakModel }: Cell, { backend, signal }: Surroundings): Promise<number> {
  const [seeds, labels] = [run.seeds, run.labels].map((all) => all.slice(0, run.batchSize)) as [number[], number[]];
  const { levels } = samplingSchedule(model.denoiser!.process, run.sampler);
  const guided = levels
    .map(noiseRatio)
    .reverse()
    .map((ratio, i) => scalesAt(run.guidance, { step: i + 1, steps: levels.length, ratio }) !== undefined);
  const sorts = new Set(guided.slice(1));
  const times = new Map<boolean, number>();
  let before = performance.now();
  const few = { ...run, ...(weakModel && { weakModel }), seeds, labels, backend, signal };
  for await (const { step } of sample(model, few)) {
    const now = performance.now();
    // The first waits for the program; it is counted only where it is the only one.
    if (step > 1 || levels.length === 1) times.set(guided[step - 1]!, (now - before) / 1000);
    before = now;
    if (times.size === Math.max(sorts.size, 1)) break;
  }
  const [any = 0] = times.values();
  return guided.reduce((sum, sort) => sum + (times.get(sort) ?? any), 0) / seeds.length;
}

function warnOfBias(count: number, width: number, shown: Progress): void {
  if (count < 10 * width)
    shown.say(
      `warning: ${count} pictures are few for features of ${width} dimensions: FID is too high by a part that falls with the count`,
    );
}

/** "fid 1.23 ± 0.1, precision 0.9 ± ..." */
const describeNumbers = (metrics: Partial<Finished["metrics"]>): string =>
  metricNames
    .flatMap((name) => {
      const metric = metrics[name];
      return metric ? [`${name} ${metric.value.toPrecision(4)} ± ${metric.error.toPrecision(1)}`] : [];
    })
    .join(", ");
