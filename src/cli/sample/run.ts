import { loadModel } from "../../checkpoint/model-folder.ts";
import { counted } from "../../counted.ts";
import { writeFiles } from "../../files/atomic.ts";
import { writeNpz } from "../../formats/npz.ts";
import { asks, describeGuidance } from "../../guidance/guidances.ts";
import { grid } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import { toUint8 } from "../../images/planes.ts";
import { encodePng } from "../../images/png.ts";
import { sheetLayout } from "../../images/sheet.ts";
import { terminalPreview } from "../../images/terminal.ts";
import type { NDArray } from "../../ndarray.ts";
import { openBackend } from "../../runtime/node.ts";
import { describeSampler } from "../../samplers/sampler.ts";
import { cascade } from "../../sampling/cascade.ts";
import { pngKeyword, type RunSpec, runOf, runSpecFormat } from "../../sampling/run-spec.ts";
import { sample } from "../../sampling/sample.ts";
import { settle } from "../../sampling/settings.ts";
import type { Context } from "../terminal/command.ts";
import { checkOutput } from "../terminal/output.ts";
import { progress } from "../terminal/progress.ts";
import { animation } from "./animation.ts";
import type { SampleValues } from "./command.ts";
import { checkInputOptions, checkLatentsModel, inputRecord, openLatents, openStart } from "./input.ts";
import {
  agreeing,
  checkFrom,
  checkModelsOfFrom,
  checkSameModel,
  decodingOptions,
  describeInput,
  describeUpsampling,
  readSpec,
  runOptions,
  tellsClass,
} from "./spec.ts";
import { openUpsampler } from "./upsampler.ts";
import { openWeakModel } from "./weak-model.ts";

/** `guidestar sample`. */
export async function runSample(values: SampleValues, context: Context): Promise<void> {
  const { terminal, given } = context;
  const { out, npz, gif, from } = values;
  if (from !== undefined) checkFrom(given);
  checkInputOptions(given);
  await checkOutput(terminal, "--out", out, ".png");
  if (npz !== undefined) await checkOutput(terminal, "--npz", npz, ".npz");
  if (gif !== undefined) await checkOutput(terminal, "--gif", gif, ".gif");
  const before = from === undefined ? undefined : await readSpec(from);
  if (before) checkModelsOfFrom(values, before);
  await (before ? agreeing(from!, () => draw(values, context, before)) : draw(values, context));
}

/** Draws and writes the pictures; those of the record, where there is one. */
async function draw(
  values: SampleValues,
  { terminal, signal, given }: Context,
  before?: RunSpec | undefined,
): Promise<void> {
  const { out, npz, gif, threads } = values;
  const began = performance.now();
  const input = before ? before.input : await inputRecord(values);
  const latents = !before && input?.kind === "latents" ? await openLatents(input) : undefined;
  const device = values.device ?? before?.device ?? "cpu";
  // The engine starts in its thread while the model is read.
  await using backend = await openBackend({ device, ...(threads && { threads }) });
  const named = before ?? latents?.spec;
  const name = named && !given.has("model") ? named.model.name : values.model;
  const model = await loadModel(name);
  if (before) checkSameModel(before, model);
  if (latents) checkLatentsModel(latents, input!.path, model);
  const weak = await openWeakModel(values.weakModel, before);
  const run = before
    ? runOf(before)
    : settle(
        model,
        latents
          ? decodingOptions(values, latents.spec, model, given.has("class"))
          : runOptions(values, model, weak?.model),
      );
  const { labels, seeds, sampler, guidance } = run;
  const start = input && (await openStart(input, model, seeds.length));
  const upsampler = await openUpsampler(values, { base: model, run, before });

  const shown = progress(terminal);
  const range = seeds.length === 1 ? `seed ${seeds[0]}` : `seeds ${seeds[0]}-${seeds.at(-1)}`;
  const description = `${name}: ${counted(seeds.length, "picture")}, ${describeSampler(sampler)}, ${describeGuidance(guidance)}, ${range}${describeInput(input)}${upsampler ? `; ${describeUpsampling(upsampler.record)}` : ""}`;
  const { columns, scale } = sheetLayout(labels, (upsampler?.model ?? model).imageShape[2]);
  const sheetOf = (x: NDArray<"float32">, scale: number): Image => grid(toUint8(x), { columns, scale });

  const animated = gif === undefined ? undefined : { path: gif, ...animation({ columns, scale }) };
  let pictures: NDArray<"float32"> | undefined;
  let toFirst = 0;
  const options = { ...run, ...(weak && { weakModel: weak.model }), ...(start && { start }), backend, signal };
  const events = upsampler
    ? cascade(model, upsampler.model, { ...options, upsampling: upsampler.record })
    : sample(model, options);
  for await (const event of events) {
    const { step, steps, x } = event;
    if (toFirst === 0) {
      toFirst = performance.now() - began;
      // Not before: what the model cannot serve is found when the program is made, and that error stands alone.
      shown.say(description);
      if (start?.kind === "inpaint" && !start.mask.data.includes(1))
        shown.say("the mask is black everywhere, so all of the picture stays; white is what would be drawn");
    }
    if ("stage" in event && event.stage === "base") {
      shown.update(step, steps, "steps of the small pictures");
      continue;
    }
    shown.update(step, steps, upsampler ? "steps of the large pictures" : "steps");
    animated?.add(step, steps, x);
    pictures = x;
  }
  shown.end();

  const spec: RunSpec = before
    ? { ...before, device }
    : {
        format: runSpecFormat,
        model: {
          name,
          denoiser: model.denoiser!.sha256,
          ...(asks("classifier", guidance) && { classifier: model.classifier!.sha256 }),
        },
        device,
        ...run,
        ...(input && { input }),
        ...(weak && { weakModel: weak.record }),
        ...(upsampler && { upsampler: upsampler.record }),
      };
  const files: [string, Uint8Array][] = [
    [out, encodePng(sheetOf(pictures!, scale), { text: { [pngKeyword]: JSON.stringify(spec) } })],
  ];
  if (npz !== undefined) files.push([npz, encodeNpz(toUint8(pictures!), labels)]);
  await writeFiles(files);
  if (animated) {
    // By itself: where it fails, the pictures stay.
    const file: (typeof files)[number] = [animated.path, await animated.encode()];
    await writeFiles([file]);
    files.push(file);
    const note = animated.note();
    if (note !== undefined) shown.say(`${animated.path}: ${note}`);
  }

  if (terminal.columns !== undefined)
    terminal.message(`${terminalPreview(sheetOf(pictures!, 1), { columns: terminal.columns, color: terminal.color })}`);
  const seconds = (performance.now() - began) / 1000;
  shown.say(`${seconds.toFixed(1)} s, of which ${(toFirst / 1000).toFixed(1)} s to the first step`);
  const told = tellsClass(guidance, model) || (upsampler && tellsClass(upsampler.record.guidance, upsampler.model));
  terminal.out(
    values.json
      ? `${JSON.stringify({ out, ...(npz && { npz }), ...(gif && { gif }), classes: labels.map((label) => (told ? model.classes[label] : null)), seconds, run: spec })}\n`
      : files.map(([path]) => `${path}\n`).join(""),
  );
}

/** Pictures and labels as openai/guided-diffusion stores samples. */
function encodeNpz(images: readonly Image[], labels: readonly number[]): Uint8Array {
  const { width, height, channels, data } = images[0]!;
  const all = new Uint8Array(images.length * data.length);
  for (const [i, image] of images.entries()) all.set(image.data, i * data.length);
  return writeNpz({
    arr_0: { dtype: "uint8", shape: [images.length, height, width, channels], data: all },
    arr_1: { dtype: "int64", shape: [labels.length], data: BigInt64Array.from(labels, BigInt) },
  });
}
