import { readFile } from "node:fs/promises";
import { shapesOf } from "../../checkpoint/find-network.ts";
import { importNetwork, type NetworkToImport } from "../../checkpoint/import.ts";
import { checkSameNoise } from "../../checkpoint/model.ts";
import { noiseSchedule } from "../../diffusion/noise-schedule.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { openFile } from "../../files/file-source.ts";
import { lockFolder } from "../../files/lock.ts";
import { isAdm } from "../../models/adm/config.ts";
import { cosineNetworks } from "../../models/adm/published.ts";
import { channelsProblem } from "../../models/elsewhere.ts";
import { denoiserSignature, type NetworkDescription, networkOf, roleOf, signatureOf } from "../../models/families.ts";
import type { Shapes } from "../../models/family.ts";
import { parameterShapes } from "../../nn/module.ts";
import { oneLine } from "../../one-line.ts";
import type { Context } from "../terminal/command.ts";
import { checkReplaced } from "../terminal/kept.ts";
import { checkOutputFolder } from "../terminal/output.ts";
import { flagsOfNoEffect, type ImportValues } from "./command.ts";
import { describedNetwork, networkFor } from "./network.ts";
import { openWeights } from "./weights.ts";

/** `guidestar import`. */
export async function runImport(
  values: ImportValues,
  { terminal, given: flags, signal }: Context,
  file: string,
): Promise<void> {
  if (values.preset !== undefined && values.config !== undefined)
    throw new UsageError("--preset and --config both say what the network is; give one of them");
  await checkOutputFolder("--out", values.out);
  await using _lock = await lockFolder(values.out);
  const opened = openFile(file);
  try {
    const note = (text: string) => terminal.message(`note: ${oneLine(text)}\n`);
    const given = await describedNetwork(values);
    const tensors = openWeights(opened.source, file, { entry: values.entry, isDescribed: given && fits(given), note });
    const network = networkFor(values, given, shapesOf(tensors), file, note);
    const described = recordOf(network, values);
    const ignored = flagsOfNoEffect.filter((name) => flags.has(name));
    if (ignored.length > 0) note(`weights don't depend on --${ignored.join(", --")}; ignored`);
    const { role } = described;
    const replaced = await checkReplaced(values.out, role, { doing: "the import", replace: values.replace });
    if (replaced !== undefined) note(replaced);
    const { imageShape, classes: count } = signatureOf(role, network);
    const problem = channelsProblem(imageShape[0]);
    if (problem) throw new ModelError(`${file}: ${problem}`);
    const classes = await classNames(values.classes, count);
    const record = await importNetwork(values.out, {
      network: described,
      tensors,
      model: {
        classes,
        imageShape: [...imageShape],
        preprocessing: { size: imageShape[1] },
      },
      source: file,
      note,
      storage: values.float16 ? "float16" : "float32",
      signal,
    });
    const { parameters, process } = record[role]!;
    terminal.message(
      `${values.out}: ${role} of ${(parameters / 1e6).toFixed(1)} M parameters, ${imageShape[2]}x${imageShape[1]}; ` +
        `${describeNoise(process)}\n`,
    );
    noteOtherNoise({ source: values.out, ...record }, note);
  } finally {
    opened.close();
  }
}

/** Are tensors those of this network, by their names? Those of the ADM family are known without it, and it may be described absurdly. */
function fits(network: NetworkDescription): (shapes: Shapes) => boolean {
  const role = roleOf(network.kind);
  if (isAdm(network) || role === undefined) return () => false;
  const names = Object.keys(parameterShapes(networkOf(role, network)));
  return (shapes) => names.every((name) => Object.hasOwn(shapes, name));
}

/** Says early what `sample` would refuse: a classifier and a denoiser of different noise. */
function noteOtherNoise(model: Parameters<typeof checkSameNoise>[0], note: (text: string) => void): void {
  try {
    checkSameNoise(model);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    note(`${error.message} If one was imported with the wrong noise flags, import it again.`);
  }
}

/** The network with the noise that it knows: what the flags say, else what published networks were trained on. */
function recordOf(network: NetworkDescription, values: ImportValues): NetworkToImport {
  const cosine = values.preset !== undefined && cosineNetworks.includes(values.preset);
  const noise = {
    schedule: values.noise_schedule ?? (cosine ? "cosine" : "linear"),
    steps: values.diffusion_steps ?? 1000,
    rescaleTimesteps: values.rescale_timesteps ?? false,
  } as const;
  // Throws for a schedule that cannot be.
  noiseSchedule({ ...noise, prediction: "eps", variance: "fixed-large" });
  if (roleOf(network.kind) === "classifier") return { role: "classifier", ...network, process: noise };
  const { imageShape, outChannels } = denoiserSignature(network);
  if (values.prediction !== undefined && values.predict_xstart !== undefined)
    throw new UsageError("--prediction and --predict_xstart both say what the network predicts; give one of them");
  if (values.variance !== undefined && (values.learn_sigma ?? values.sigma_small) !== undefined)
    throw new UsageError("--variance says what --learn_sigma and --sigma_small say; give it, or those");
  const learned = outChannels === 2 * imageShape[0];
  const process = {
    ...noise,
    prediction: values.prediction ?? (values.predict_xstart ? "x0" : "eps"),
    variance: values.variance ?? (learned ? "learned-range" : values.sigma_small ? "fixed-small" : "fixed-large"),
  };
  return { role: "denoiser", ...network, process };
}

async function classNames(file: string | undefined, count = 0): Promise<string[]> {
  if (file === undefined) return Array.from({ length: count }, (_, label) => String(label));
  const text = await readFile(file, "utf8").catch((cause) => {
    throw new UsageError(`--classes ${file}: cannot be read (${(cause as Error).message})`, { cause });
  });
  const names = text.trim().split(/\r?\n/);
  if (names.length !== count && count > 0)
    throw new ModelError(`${file}: expected ${count} class names, one on each line, but found ${names.length}`);
  return names;
}
