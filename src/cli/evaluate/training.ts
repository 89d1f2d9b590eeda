import { gather } from "../../data/batches.ts";
import type { Dataset } from "../../data/dataset.ts";
import { DataError, UsageError } from "../../errors.ts";
import { writeFiles } from "../../files/atomic.ts";
import { toUint8 } from "../../images/planes.ts";
import type { Context } from "../terminal/command.ts";
import { openImages } from "../terminal/images.ts";
import { labelValues } from "../terminal/label-options.ts";
import { checkOutput } from "../terminal/output.ts";
import type { EvaluateValues } from "./command.ts";
import { comparingDetector, copiesJson, describeCopies, openCopySearch, pairsPng } from "./copies.ts";
import type { Surroundings } from "./sources.ts";

/** `guidestar evaluate SAMPLES --training DATA`: how many of the samples are copies of the images that their model was trained on. */
export async function evaluateCopies(
  path: string,
  training: string,
  values: EvaluateValues,
  { terminal }: Pick<Context, "terminal">,
  around: Surroundings,
): Promise<void> {
  const { pairs, json } = values;
  if (path === "") throw new UsageError("--training needs images: guidestar evaluate SAMPLES --training DATA");
  if (pairs !== undefined) await checkOutput(terminal, "--pairs", pairs, ".png");
  const samples = await open(path, values, undefined, around);
  const data = await open(training, values, samples, around);
  const detector = await comparingDetector(values.detector, samples.imageShape, around);
  try {
    await using search = await openCopySearch(data.train, data.test, detector ? [detector] : [], around);
    if (!search)
      throw new DataError(
        `${training}: of ${data.train.count} training images nothing can be told; at least 3 are needed`,
      );
    const { train } = samples;
    const picturesOf = (numbers: readonly number[]) => gather(train, numbers).x;
    const reports = await search.look(picturesOf(Array.from({ length: train.count }, (_, i) => i)));
    const worst = reports.reduce((a, b) => (b.share > a.share ? b : a));
    if (pairs !== undefined)
      await writeFiles([[pairs, pairsPng(worst, (numbers) => toUint8(picturesOf(numbers)), search)]]);
    terminal.out(json ? `${JSON.stringify({ copies: copiesJson(reports) })}\n` : describeCopies(reports));
  } finally {
    await detector?.[Symbol.asyncDispose]();
  }
}

/** Images, as large and in as many channels as others where those are given. */
function open(path: string, values: EvaluateValues, like: Dataset | undefined, around: Surroundings): Promise<Dataset> {
  if (like) {
    const [, height, width] = like.imageShape;
    const preprocessing = values.size === undefined && height === width ? { size: height } : {};
    const needs = { imageShape: like.imageShape, preprocessing, source: like.path };
    return openImages(path, needs, { size: values.size, ...labelValues(values) }, around);
  }
  return openImages(path, undefined, { size: values.size, ...labelValues(values), loose: true }, around);
}
