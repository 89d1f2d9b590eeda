import { counted } from "../../counted.ts";
import { type Dataset, splitOf } from "../../data/dataset.ts";
import { tellsClasses } from "../../data/layout.ts";
import { DataError, UsageError } from "../../errors.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { classesOf } from "../../evaluation/detectors/fits.ts";
import { evaluate } from "../../evaluation/evaluate.ts";
import type { FeatureSet } from "../../evaluation/features.ts";
import {
  featuresFrom,
  featuresNpz,
  isStatistics,
  rowsOf,
  statisticsFrom,
  statisticsNpz,
} from "../../evaluation/files.ts";
import { moments } from "../../evaluation/metrics/statistics.ts";
import { type RealReference, realAgainstReal } from "../../evaluation/real.ts";
import { writeFiles } from "../../files/atomic.ts";
import { openBackend } from "../../runtime/node.ts";
import type { Context } from "../terminal/command.ts";
import { checkOutput } from "../terminal/output.ts";
import { duration, progress } from "../terminal/progress.ts";
import { evaluateClassifier } from "./classifier.ts";
import type { EvaluateValues } from "./command.ts";
import { describeReport, reportJson } from "./report.ts";
import { openPictures, openRuler, type Ruler, readArrays, type Surroundings, see } from "./sources.ts";
import { evaluateCopies } from "./training.ts";

/** `guidestar evaluate`. */
export async function runEvaluate(values: EvaluateValues, { terminal, signal }: Context, path: string): Promise<void> {
  const { saveFeatures, saveStatistics, device, threads, seed, k } = values;
  checkTogether(values, path);
  for (const [flag, file] of Object.entries({ "--save-features": saveFeatures, "--save-statistics": saveStatistics }))
    if (file !== undefined) await checkOutput(terminal, flag, file, ".npz");
  const began = performance.now();
  const shown = progress(terminal);
  const perCore = threads && { threads };
  // Sums of float64 numbers are for the CPU.
  await using engine = await openBackend({ ...perCore });
  await using other = device === "cpu" ? undefined : await openBackend({ device, ...perCore });
  const around = { backend: other ?? engine, signal, shown };
  if (values.classifier !== undefined)
    return await evaluateClassifier(path, values.classifier, values, { terminal }, around);
  if (values.training !== undefined) return await evaluateCopies(path, values.training, values, { terminal }, around);

  await using sources = new Sources(values, around);
  const { samples, labels } = await sources.samples(path);
  const reference = await sources.reference();
  if (!reference && !samples.probabilities && (saveFeatures ?? saveStatistics) === undefined)
    throw new UsageError("nothing to compare with: give --reference, --reference-features or --probabilities");
  const report = await evaluate(samples, reference, {
    backend: engine,
    signal,
    seed,
    k,
    ...(labels && { labels }),
    onMetric: (name) => shown.say(name),
  });
  if (reference) shown.say("real images against real ones");
  // How well real images are read says something beside samples that have labels.
  const compared = reference && (labels ? reference : { ...reference, accuracy: undefined });
  const real =
    compared && (await realAgainstReal(samples.features.rows, compared, { backend: engine, signal, seed, k }));
  shown.end();
  const { features, spatial } = samples;
  const statistics = async () => ({
    ...(await moments([features], { backend: engine, signal })),
    ...(spatial && { spatial: await moments([spatial], { backend: engine, signal }) }),
  });
  for (const warning of [...report.leftOut, ...report.warnings]) shown.say(`warning: ${warning}`);
  shown.say(duration((performance.now() - began) / 1000));
  terminal.out(
    values.json
      ? `${JSON.stringify({ detector: sources.name, ...reportJson(report, real), k, seed })}\n`
      : describeReport(report, sources.name, real),
  );
  // The numbers come first: whatever becomes of the files, they are there.
  await writeFiles([
    ...(saveFeatures === undefined ? [] : [[saveFeatures, featuresNpz(samples)] as const]),
    ...(saveStatistics === undefined ? [] : [[saveStatistics, statisticsNpz(await statistics())] as const]),
  ]);
}

function checkTogether(values: EvaluateValues, path: string): void {
  const { reference, referenceFeatures, sampleFeatures, probabilities } = values;
  if (path === "" && sampleFeatures === undefined)
    throw new UsageError("nothing to measure: give SAMPLES, or --sample-features; see guidestar evaluate --help");
  if (path !== "" && (sampleFeatures ?? probabilities) !== undefined)
    throw new UsageError("SAMPLES and --sample-features (or --probabilities) both say what to measure; leave one out");
  if (reference !== undefined && referenceFeatures !== undefined)
    throw new UsageError("--reference and --reference-features both say what to compare with; leave one out");
}

/** Where features come from: files, or a detector that is opened when it is needed. */
class Sources implements AsyncDisposable {
  private detector: Detector | undefined;
  private opened: Ruler | undefined;
  private readonly values: EvaluateValues;
  private readonly around: Surroundings;
  constructor(values: EvaluateValues, around: Surroundings) {
    this.values = values;
    this.around = around;
  }

  /** Of the detector; undefined where all features came from files. */
  get name(): string | undefined {
    return this.detector?.name;
  }

  async samples(path: string): Promise<{ samples: FeatureSet; labels?: readonly number[] }> {
    const { sampleFeatures, probabilities } = this.values;
    if (sampleFeatures !== undefined) {
      const samples = featuresFrom(await readArrays(sampleFeatures), sampleFeatures);
      if (probabilities === undefined) return { samples };
      const [array] = Object.values(await readArrays(probabilities));
      if (!array) throw new DataError(`${probabilities}: the archive is empty`);
      const rows = rowsOf(array, probabilities);
      if (rows.rows !== samples.features.rows)
        throw new DataError(
          `${probabilities}: there are ${counted(rows.rows, "row")} for ${counted(samples.features.rows, "image")}`,
        );
      return { samples: { ...samples, probabilities: rows } };
    }
    const dataset = await this.open(path);
    const splits = dataset.test ? [dataset.train, dataset.test] : [dataset.train];
    const detector = await this.detectorFor(dataset);
    const samples = await see(splits, detector, this.around);
    const labels = labelsFor(dataset, detector);
    return {
      samples,
      ...(labels && { labels: splits.flatMap((split) => Array.from(split.labels, (label) => labels[label]!)) }),
    };
  }

  async reference(): Promise<RealReference | undefined> {
    const { reference, referenceFeatures, sampleFeatures, split } = this.values;
    const file = referenceFeatures ?? reference;
    if (file === undefined) return sampleFeatures === undefined ? (await this.ruler()).known?.reference : undefined;
    if (file.endsWith(".npz")) {
      const arrays = await readArrays(file);
      if (isStatistics(arrays)) return { statistics: statisticsFrom(arrays, file) };
      if (referenceFeatures !== undefined || !("arr_0" in arrays && arrays.arr_0!.shape.length === 4))
        return featuresFrom(arrays, file);
    }
    const dataset = await this.open(file);
    return see([splitOf(dataset, split)], await this.detectorFor(dataset), this.around);
  }

  private async ruler(): Promise<Ruler> {
    this.opened ??= await openRuler(this.values.detector, this.around.backend);
    return this.opened;
  }

  private async open(path: string): Promise<Dataset> {
    return openPictures(path, (await this.ruler()).known, this.values, this.around);
  }

  private async detectorFor({ imageShape }: Dataset): Promise<Detector> {
    const before = this.detector?.imageShape;
    // An ONNX detector is opened for one shape of images; real and drawn ones may be of two.
    if (before && before.join() !== imageShape.join()) {
      await this.detector?.[Symbol.asyncDispose]();
      this.detector = undefined;
    }
    this.detector ??= await (await this.ruler()).open(imageShape);
    return this.detector;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.detector ?? this.opened?.known;
    await open?.[Symbol.asyncDispose]();
  }
}

/** The detector's class for each of the data's; undefined where it does not know them all, or there are no labels. */
function labelsFor({ classes, layout }: Dataset, detector: Detector): readonly number[] | undefined {
  if (!tellsClasses(layout)) return undefined;
  const labels = classesOf(detector, classes);
  return labels.length > 0 && labels.every((label) => label !== undefined) ? (labels as number[]) : undefined;
}
