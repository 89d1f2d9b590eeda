import { basename } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { labelOf, listed } from "../../class-names.ts";
import { counted } from "../../counted.ts";
import { imagesAt } from "../../data/batches.ts";
import type { Split } from "../../data/content.ts";
import { classesPresent, type Dataset, splitOf } from "../../data/dataset.ts";
import { labelsFor } from "../../data/model-images.ts";
import { UsageError } from "../../errors.ts";
import { chartSvg } from "../../evaluation/chart/draw.ts";
import { type Bound, boundCsv, collectBound } from "../../evaluation/likelihood/bound.ts";
import { type BoundEvent, type ImageSource, variationalBound } from "../../evaluation/likelihood/likelihood.ts";
import { writeFiles } from "../../files/atomic.ts";
import { denoiserSignature } from "../../models/families.ts";
import type { DenoiserSignature } from "../../models/family.ts";
import { permutation } from "../../random.ts";
import { openBackend } from "../../runtime/node.ts";
import type { Context } from "../terminal/command.ts";
import { openImages } from "../terminal/images.ts";
import { labelValues } from "../terminal/label-options.ts";
import { checkOutput } from "../terminal/output.ts";
import { duration, type Progress, progress } from "../terminal/progress.ts";
import type { NllValues } from "./command.ts";

/** `guidestar nll`. */
export async function runNll(values: NllValues, { terminal, signal }: Context, path: string): Promise<void> {
  const { csv, plot, seed, batchSize, device, threads, unclipped } = values;
  const respacing = respacingOf(values);
  if (csv !== undefined) await checkOutput(terminal, "--csv", csv, ".csv");
  if (plot !== undefined) await checkOutput(terminal, "--plot", plot, ".svg");

  await using backend = await openBackend({ device, ...(threads && { threads }) });
  const model = await loadModel(values.model);
  const shown = progress(terminal);
  const dataset = await openImages(path, model, { size: values.size, ...labelValues(values) }, { shown, signal });
  const { images, split, labels } = selected(dataset, model, values);

  const events = variationalBound(model, images, {
    ...(respacing !== undefined && { respacing }),
    clip: !unclipped,
    batchSize,
    seed,
    backend,
    signal,
  });
  const began = performance.now();
  const bound = await collectBound(watched(events, shown, `${values.model}: ${split}, ${labels}`));
  shown.end();

  const written: [string, Uint8Array][] = [];
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  if (csv !== undefined) written.push([csv, encode(boundCsv(bound))]);
  if (plot !== undefined)
    written.push([plot, encode(boundPlot(bound, `${basename(values.model)} on ${basename(path)}`))]);
  shown.say(duration((performance.now() - began) / 1000));
  const { prior, terms } = bound;
  terminal.out(
    values.json
      ? `${JSON.stringify({ model: values.model, data: path, split, seed, clip: !unclipped, ...bound })}\n`
      : [
          `${describe(bound)}`,
          `prior    ${prior.toPrecision(4)}`,
          `decoder  ${terms[0]!.vb.toPrecision(4)}`,
          `others   ${(bound.total - prior - terms[0]!.vb).toPrecision(4)} over ${counted(terms.length - 1, "timestep")}`,
          "",
        ].join("\n"),
  );
  // The numbers come first: whatever becomes of the files, they are there.
  await writeFiles(written);
  if (!values.json) for (const [file] of written) terminal.out(`${file}\n`);
}

const describe = ({ total, standardError, images, terms }: Bound): string =>
  `${total.toFixed(4)} bits per dimension${images > 1 ? ` (standard error ${standardError.toPrecision(2)})` : ""}, ${counted(images, "image")}, ${counted(terms.length, "timestep")}`;

function respacingOf({ steps, respacing }: NllValues): string | undefined {
  if (steps !== undefined && respacing !== undefined)
    throw new UsageError("--steps and --respacing both say which timesteps to keep; leave one out");
  return steps === undefined ? respacing : String(steps);
}

interface Selection {
  readonly images: ImageSource;
  readonly split: "train" | "test";
  /** What the denoiser is told, in words. */
  readonly labels: string;
}

/** The images that the options ask for, and the model's labels for them. */
function selected(dataset: Dataset, model: Model, values: NllValues): Selection {
  const { path, test } = dataset;
  const name = values.split ?? (test ? "test" : "train");
  const split = splitOf(dataset, name);
  const { count = split.count, seed } = values;
  if (count > split.count)
    throw new UsageError(
      `--count is ${count} but ${path} has ${counted(split.count, `${name} image`)}; ask for at most so many`,
    );
  // Far from the streams of the noise, which count images and timesteps.
  const chosen = permutation(seed, 2 ** 52, split.count)
    .slice(0, count)
    .sort();
  const { labelFor, words } = labelling(dataset, split, model, values);
  return { images: imagesAt(split, chosen, labelFor), split: name, labels: words };
}

interface Labelling {
  /** The model's label for one of the data's. */
  readonly labelFor: (label: number) => number;
  readonly words: string;
}

function labelling(dataset: Dataset, split: Split, model: Model, values: NllValues): Labelling {
  const { classes, nullLabel }: Partial<DenoiserSignature> = model.denoiser ? denoiserSignature(model.denoiser) : {};
  const { class: name, unconditional } = values;
  if (unconditional && name !== undefined)
    throw new UsageError("--unconditional tells no class and --class tells one; leave one out");
  if (classes === undefined) {
    if (name !== undefined) throw new UsageError(`--class: the denoiser of ${model.source} is told no class`);
    return { labelFor: () => 0, words: "no classes" };
  }
  if (unconditional) {
    if (nullLabel === undefined)
      throw new UsageError(
        `--unconditional needs a denoiser with a null label, which that of ${model.source} lacks; leave it out`,
      );
    return { labelFor: () => nullLabel, words: "no class told" };
  }
  if (name !== undefined) {
    const label = labelOf(name, model);
    return { labelFor: () => label, words: `all as class ${model.classes[label]}` };
  }
  const labelFor = labelsFor(dataset, split, model, ", or give --class or --unconditional");
  const present = classesPresent(dataset.classes, split.labels);
  return { labelFor, words: `classes of the data: ${listed(present)}` };
}

/** The same events, shown on the way: how far, and what the bound of whole batches is so far. */
async function* watched(
  events: AsyncIterable<BoundEvent>,
  shown: Progress,
  description: string,
): AsyncGenerator<BoundEvent> {
  const began = performance.now();
  let bits = 0;
  let sum = 0;
  let images = 0;
  for await (const event of events) {
    const { run, runs, index, positions, vb, prior } = event;
    // Not before: what the model cannot serve is found when the program is made, and that error stands alone.
    if (run === 1) shown.say(description);
    bits += vb.reduce((a, b) => a + b, 0);
    if (index === 0) {
      sum += bits + prior.reduce((a, b) => a + b, 0);
      bits = 0;
      images += positions.length;
    }
    const left = duration(((performance.now() - began) / 1000 / run) * (runs - run));
    const soFar = images > 0 ? `, ${(sum / images).toFixed(3)} bits per dimension of ${counted(images, "image")}` : "";
    shown.update(run, runs, `runs${soFar}${run < runs ? `, ${left} left` : ""}`);
    yield event;
  }
}

/** The terms by timestep: the bound's above, the squared errors below. */
const boundPlot = (bound: Bound, title: string): string =>
  chartSvg({
    title: `Variational bound: ${title}`,
    subtitle: `${describe(bound)}; prior ${bound.prior.toPrecision(2)}`,
    xLabel: "timestep",
    panels: [
      {
        label: "bits per dimension",
        lines: [{ label: "vb", color: "#2563a8", points: bound.terms.map(({ timestep, vb }) => [timestep, vb]) }],
      },
      {
        label: "mean squared error",
        lines: [
          {
            label: "of the image (xstart_mse)",
            color: "#c2571a",
            points: bound.terms.map(({ timestep, xstartMse }) => [timestep, xstartMse]),
          },
          {
            label: "of the noise (mse)",
            color: "#2d8a6e",
            points: bound.terms.map(({ timestep, mse }) => [timestep, mse]),
          },
        ],
      },
    ],
  });
