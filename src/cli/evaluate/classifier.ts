import { basename } from "node:path";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { labelsFor } from "../../data/model-images.ts";
import { UsageError } from "../../errors.ts";
import { accuracyCsv, accuracyPlot, accuracyTable } from "../../evaluation/accuracy.ts";
import { writeFiles } from "../../files/atomic.ts";
import type { Context } from "../terminal/command.ts";
import { openImages } from "../terminal/images.ts";
import { labelValues } from "../terminal/label-options.ts";
import { checkOutput } from "../terminal/output.ts";
import { measureAccuracy } from "./accuracy.ts";
import type { EvaluateValues } from "./command.ts";
import type { Surroundings } from "./sources.ts";

/** `guidestar evaluate DATA --classifier MODEL`: the accuracy of its noisy classifier by timestep, on all images, or the test images where there are some. */
export async function evaluateClassifier(
  path: string,
  name: string,
  { csv, plot, size, json, seed, ...reading }: EvaluateValues,
  { terminal }: Pick<Context, "terminal">,
  { backend, signal, shown }: Surroundings,
): Promise<void> {
  if (path === "")
    throw new UsageError("--classifier needs labelled images: guidestar evaluate DATA --classifier MODEL");
  if (csv !== undefined) await checkOutput(terminal, "--csv", csv, ".csv");
  if (plot !== undefined) await checkOutput(terminal, "--plot", plot, ".svg");
  const model = await loadModel(name);
  const dataset = await openImages(path, model, { size, ...labelValues(reading) }, { shown, signal });
  const split = dataset.test ?? dataset.train;
  const rows = await measureAccuracy(model, split, {
    backend,
    signal,
    shown,
    count: split.count,
    timesteps: 21,
    seed,
    labelFor: labelsFor(dataset, split, model),
  });
  const classes = model.classes.length;
  terminal.out(
    json
      ? `${JSON.stringify({ model: name, data: path, classes, seed, timesteps: rows })}\n`
      : accuracyTable(rows, classes),
  );
  // The numbers come first: whatever becomes of the files, they are there.
  await writeFiles([
    ...(csv === undefined ? [] : [[csv, new TextEncoder().encode(accuracyCsv(rows))] as const]),
    ...(plot === undefined
      ? []
      : [
          [
            plot,
            new TextEncoder().encode(accuracyPlot(rows, { title: `${basename(name)} on ${basename(path)}`, classes })),
          ] as const,
        ]),
  ]);
}
