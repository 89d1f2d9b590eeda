import type { Model } from "../../checkpoint/model.ts";
import { DataError, UsageError } from "../../errors.ts";
import { asks } from "../../guidance/guidances.ts";
import { grid } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import { toUint8 } from "../../images/planes.ts";
import { encodePng, readPngText } from "../../images/png.ts";
import { sheetLayout } from "../../images/sheet.ts";
import { denoiserSignature } from "../../models/families.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openBackend, type WebBackendOptions } from "../../runtime/web/backend.ts";
import { knownSamplers } from "../../samplers/sampler.ts";
import { codeOfRun, commandOfRun } from "../../sampling/run-code.ts";
import { parseRunSpec, pngKeyword, type RunSpec, runOf, runSpecFormat } from "../../sampling/run-spec.ts";
import { type RunTexts, runOfTexts, textsOfRun } from "../../sampling/run-texts.ts";
import { sample } from "../../sampling/sample.ts";
import { type RunOptions, type SettledRun, settle } from "../../sampling/settings.ts";
import { wordOf } from "../../setting.ts";
import { type FetchProgress, loadModel } from "../fetched-model.ts";
import { withRecentPrograms } from "./recent-programs.ts";

/** What the worker is opened with; addresses are absolute. */
export interface OpenOptions extends WebBackendOptions {
  readonly model: string;
  readonly name: string;
  readonly cache: boolean;
}

/** A kind of guidance by a scale, and the setting that is the scale. */
export type GuidanceKind = "classifier-free" | "classifier";

/** What a page may know of a model, without its weights. */
export interface SamplerModel {
  /** What records of pictures call it. */
  readonly name: string;
  /** Names of its classes, by label. */
  readonly classes: readonly string[];
  /** [C, H, W] of one picture. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Learned numbers of its networks together. */
  readonly parameters: number;
  /** SHA-256 of its denoiser's weights. */
  readonly denoiser: string;
  /** The guidance that it can follow. */
  readonly guidance: readonly GuidanceKind[];
  /** Largest scale of classifier-free guidance, of a student that is told it. */
  readonly maxCfgScale?: number | undefined;
  /** The samplers that serve it: what each does, its usual steps, and its own settings as texts name them. */
  readonly samplers: readonly {
    readonly kind: string;
    readonly note: string;
    readonly steps: number;
    readonly settings: readonly string[];
  }[];
}

/** What opening gives. */
export interface Opened {
  readonly model: SamplerModel;
  readonly device: RunSpec["device"];
  readonly threads: number;
}

/** The pictures of a step. */
export interface DrawingEvent {
  /** 1 ... steps */
  readonly step: number;
  /** Steps that are taken. */
  readonly steps: number;
  /** As this step expects them to become; after the last step, the pictures themselves. Bytes, pixel by pixel. */
  readonly pictures: readonly Image[];
}

/** A run in other forms. */
export interface WrittenRun {
  /** As texts, for links and attributes. */
  readonly texts: RunTexts;
  /** The command line that draws it. */
  readonly command: string;
  /** The program that draws it, in TypeScript for Node. */
  readonly code: string;
}

/** How a call of the worker is ended, and what it tells on its way. */
export interface Call<E = never> {
  readonly signal: AbortSignal;
  tell(event: E, transfer?: Transferable[]): void;
}

interface Opening {
  readonly model: Model;
  readonly name: string;
  readonly backend: Backend;
}
/** Of models with more learned numbers a page keeps one program alone: it may have 4 GB, and each holds all of them. */
const largeModel = 16e6;

let opened: Opening | undefined;

function session(): Opening {
  if (!opened) throw new UsageError("the sampler is not open");
  return opened;
}

const specOf = (run: SettledRun, { model, name, backend }: Opening): RunSpec => ({
  format: runSpecFormat,
  model: {
    name,
    denoiser: model.denoiser!.sha256,
    ...(asks("classifier", run.guidance) && { classifier: model.classifier!.sha256 }),
  },
  device: backend.device,
  ...run,
});

function describe({ model, name }: Opening): SamplerModel {
  const { classes, imageShape, denoiser, classifier } = model;
  if (!denoiser) throw new UsageError(`${model.source}: has no denoiser, so nothing can be drawn with it; train one`);
  const { nullLabel, maxCfgScale, lowRes } = denoiserSignature(denoiser);
  if (lowRes)
    throw new UsageError(`${model.source}: is an upsampler, which enlarges pictures of another model; open that one`);
  const { consistency = false } = denoiser.process;
  return {
    name,
    classes,
    imageShape,
    parameters: denoiser.parameters + (classifier?.parameters ?? 0),
    denoiser: denoiser.sha256,
    guidance: [
      ...(nullLabel !== undefined || maxCfgScale !== undefined ? (["classifier-free"] as const) : []),
      ...(classifier && !consistency ? (["classifier"] as const) : []),
    ],
    ...(maxCfgScale !== undefined && { maxCfgScale }),
    samplers: knownSamplers()
      .filter((sampler) => (sampler.consistency ?? false) === consistency)
      .map(({ kind, note, steps, settings }) => ({
        kind,
        note,
        steps: Math.min(steps, denoiser.process.steps),
        settings: Object.keys(settings).map(wordOf),
      })),
  };
}

/** Throws DataError where pictures were made of more than one model and its noise: a page has nothing else. */
function checkAlone({ input, upsampler, weakModel }: RunSpec, name: string): void {
  if (input || upsampler || weakModel)
    throw new DataError(
      `${name}: made with ${input ? input.path : (upsampler ?? weakModel)!.name} beside the model, which a page does not have; draw it again by \`guidestar sample --from\``,
    );
}

/** What a page asks its worker to do: all of it computes, and none of it belongs on the page. */
export const work = {
  /** Loads the model and the engine, once. */
  async open(
    { model: address, name, cache, ...options }: OpenOptions,
    { signal, tell }: Call<FetchProgress>,
  ): Promise<Opened> {
    const [model, engine] = await Promise.all([
      loadModel(address, { cache, signal, onProgress: (progress) => tell(progress) }),
      openBackend(options),
    ]);
    const parameters = (model.denoiser?.parameters ?? 0) + (model.classifier?.parameters ?? 0);
    opened = { model, name, backend: withRecentPrograms(engine, parameters > largeModel ? 1 : 3) };
    return { model: describe(opened), device: engine.device, threads: engine.threads };
  },

  /** The record of the run that texts ask for. */
  read: async (texts: RunTexts): Promise<RunSpec> => specOf(runOfTexts(texts, session().model), session()),

  /** The record of the run that options ask for. */
  settle: async (options: RunOptions): Promise<RunSpec> => specOf(settle(session().model, options), session()),

  /** A run in other forms. */
  async write(spec: RunSpec): Promise<WrittenRun> {
    const { model, name } = session();
    const run = runOf(spec);
    const texts = textsOfRun(run, model);
    return { texts, command: commandOfRun(name, texts), code: codeOfRun(name, run, model) };
  },

  /** Draws a run, and tells the pictures of each step. */
  async draw(spec: RunSpec, { signal, tell }: Call<DrawingEvent>): Promise<void> {
    const { model, backend } = session();
    checkAlone(spec, "these pictures");
    for await (const { step, steps, x, x0 } of sample(model, { ...runOf(spec), backend, signal })) {
      const pictures = toUint8(step === steps ? x : x0);
      tell(
        { step, steps, pictures },
        pictures.map(({ data }) => data.buffer as ArrayBuffer),
      );
    }
  },

  /** Pictures as one sheet in a PNG file, with the record from which they can be drawn again. */
  async png(pictures: readonly Image[], spec: RunSpec): Promise<Uint8Array> {
    const layout = sheetLayout(spec.labels, pictures[0]!.width);
    return encodePng(grid(pictures, layout), { text: { [pngKeyword]: JSON.stringify(spec) } });
  },

  /** The record that a PNG file carries. */
  async specOfPng(bytes: Uint8Array, name: string): Promise<RunSpec> {
    let text: string | undefined;
    try {
      text = readPngText(bytes)[pngKeyword];
    } catch (cause) {
      throw new DataError(`${name}: cannot be read (${(cause as Error).message})`, { cause });
    }
    if (text === undefined)
      throw new DataError(
        `${name}: carries no record of a sampling run; only pictures that guidestar saved have one, and only while no other program saved them anew`,
      );
    const spec = parseRunSpec(text, name);
    checkAlone(spec, name);
    return spec;
  },

  /** Ends the engine. */
  async close(): Promise<void> {
    await opened?.backend[Symbol.asyncDispose]();
    opened = undefined;
  },
};
export type Work = typeof work;
