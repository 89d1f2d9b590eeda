import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { labelOf } from "../../class-names.ts";
import { everyImage } from "../../data/batches.ts";
import { splitOf } from "../../data/dataset.ts";
import { labelsFor, openImagesFor } from "../../data/model-images.ts";
import { UsageError } from "../../errors.ts";
import { writeFiles } from "../../files/atomic.ts";
import { guidanceSettings } from "../../guidance/guidances.ts";
import type { NDArray } from "../../ndarray.ts";
import { openBackend } from "../../runtime/node.ts";
import { encode, reconstructionErrors, settleEncoding } from "../../sampling/encode.ts";
import { runSpecFormat } from "../../sampling/run-spec.ts";
import { sample } from "../../sampling/sample.ts";
import { withUsual } from "../../setting.ts";
import { writeLatents } from "../sample/latents.ts";
import { askedGuidance, tellsClass } from "../sample/spec.ts";
import type { Context } from "../terminal/command.ts";
import { labelValues } from "../terminal/label-options.ts";
import { checkOutput } from "../terminal/output.ts";
import { progress } from "../terminal/progress.ts";
import type { EncodeValues } from "./command.ts";

/** `guidestar encode`. */
export async function runEncode(values: EncodeValues, { terminal, signal }: Context, path: string): Promise<void> {
  const { out, device, threads, batchSize, steps, unconditional } = values;
  await checkOutput(terminal, "--out", out, ".npz");
  if (unconditional && values.class !== undefined)
    throw new UsageError("--unconditional tells no class and --class tells one; leave one out");
  await using backend = await openBackend({ device, ...(threads && { threads }) });
  const model = await loadModel(values.model);
  const { images, labels } = await pictures(path, model, values, signal);
  const options = {
    images,
    ...(model.classes.length > 0 && { labels }),
    ...(steps !== undefined && { steps }),
    guidance: askedGuidance(values),
    batchSize,
  };
  const run = settleEncoding(model, options);

  const shown = progress(terminal);
  let latents = images;
  for await (const { step, steps: all, x } of encode(model, { ...options, backend, signal })) {
    shown.update(step, all, "steps to the noise");
    latents = x;
  }
  let back = images;
  const start = { kind: "latents", x: latents } as const;
  for await (const { step, steps: all, x } of sample(model, { ...run, start, backend, signal })) {
    shown.update(step, all, "steps back");
    back = x;
  }
  shown.end();

  const spec = {
    format: runSpecFormat,
    model: { name: values.model, denoiser: model.denoiser!.sha256 },
    device,
    ...run,
  } as const;
  await writeFiles([[out, writeLatents({ x: latents, spec })]]);
  const errors = reconstructionErrors(images, back);
  const told = tellsClass(run.guidance, model);
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  terminal.out(
    values.json
      ? `${JSON.stringify({ out, errors, mean, run: spec })}\n`
      : [
          ...errors.map(
            (error, i) => `${i}  class ${told ? model.classes[run.labels[i]!] : "none"}  error ${error.toFixed(2)}`,
          ),
          `mean error ${mean.toFixed(2)} of 255`,
          out,
          "",
        ].join("\n"),
  );
}

interface Pictures {
  readonly images: NDArray<"float32">;
  readonly labels: readonly number[];
}

/** What a path holds, as the model's pictures [N, C, H, W], and the class of each. */
async function pictures(path: string, model: Model, values: EncodeValues, signal: AbortSignal): Promise<Pictures> {
  const told = tellsClass(withUsual(guidanceSettings, askedGuidance(values)), model);
  if (!told && values.class !== undefined)
    throw new UsageError(`--class: the denoiser of ${model.source} is told no class; leave it out`);
  const given = values.class === undefined ? undefined : labelOf(values.class, model);
  const dataset = await openImagesFor(path, model, {
    size: values.size,
    ...labelValues(values),
    strict: true,
    cache: false,
    signal,
  });
  const split = splitOf(dataset, values.split);
  const { x, y } = everyImage(split);
  if (!told || given !== undefined) return { images: x, labels: Array.from(y.data, () => given ?? 0) };
  const labelFor = labelsFor(dataset, split, model, ", or give --class or --unconditional");
  return { images: x, labels: Array.from(y.data, labelFor) };
}
