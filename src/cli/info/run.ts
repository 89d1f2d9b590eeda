import type { DetectorRecord } from "../../checkpoint/detector.ts";
import { findDetector, readDetector } from "../../checkpoint/detector-folder.ts";
import { existingRecord, findModel, loadModel } from "../../checkpoint/model-folder.ts";
import type { DenoiserRecord } from "../../checkpoint/schema.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import { describeGuidance } from "../../guidance/guidances.ts";
import { denoiserSignature } from "../../models/families.ts";
import { describeSampler } from "../../samplers/sampler.ts";
import { settle } from "../../sampling/settings.ts";
import { readSpec } from "../sample/spec.ts";
import type { Context } from "../terminal/command.ts";
import type { InfoValues } from "./command.ts";

/** `guidestar info`. */
export async function runInfo({ json }: InfoValues, { terminal }: Context, subject: string): Promise<void> {
  const { facts, lines } = subject.toLowerCase().endsWith(".png")
    ? await describePicture(subject)
    : await describeModel(subject);
  terminal.out(json ? `${JSON.stringify(facts)}\n` : `${lines.join("\n")}\n`);
}

interface Description {
  /** For --json. */
  readonly facts: unknown;
  /** For people. */
  readonly lines: readonly string[];
}

async function describePicture(path: string): Promise<Description> {
  const spec = await readSpec(path);
  const { model, labels, seeds, sampler, device, upsampler } = spec;
  return {
    facts: spec,
    lines: [
      `${path}: drawn by guidestar sample; --from ${path} draws it again`,
      `model     ${model.name} (denoiser ${model.denoiser.slice(0, 12)})`,
      `labels    ${labels.join(" ")}`,
      `seeds     ${seeds[0]} to ${seeds.at(-1)}`,
      `sampler   ${describeSampler(sampler, true)}, on ${device}`,
      `guidance  ${describeGuidance(spec.guidance)}`,
      ...(upsampler
        ? [
            `upsampler ${upsampler.name} (denoiser ${upsampler.denoiser.slice(0, 12)}), ${describeSampler(upsampler.sampler, true)}`,
          ]
        : []),
    ],
  };
}

/** Loads the weights too, so that a damaged model is not called sound. */
async function describeModel(name: string): Promise<Description> {
  const carrier = findDetector(name);
  const detector = carrier !== undefined && (await readDetector(carrier)).record;
  if (detector && !(await existingRecord(carrier)))
    return {
      facts: { name, folder: carrier, detector },
      lines: [...imagesOf(name, carrier, detector), ...describeDetector(detector)],
    };
  const folder = await findModel(name);
  const { weights: _, source: __, ...record } = await loadModel(name);
  const { denoiser, classifier } = record;
  const lines = imagesOf(name, folder, record);
  if (denoiser) {
    const { prediction, variance } = denoiser.process;
    const { lowRes } = denoiserSignature(denoiser);
    lines.push(
      ...(lowRes ? [`upsampler   from ${lowRes[2]}x${lowRes[1]}; draws with \`sample --upsampler ${name}\``] : []),
      `denoiser    ${denoiser.kind}, ${size(denoiser)}; ${describeNoise(denoiser.process)}; predicts ${prediction}, variance ${variance}`,
      `            ${guidanceOf(denoiser)}`,
      ...training(denoiser),
    );
    const run = settle({ ...record, source: name }, { seeds: [0] });
    lines.push(`sampling    ${describeSampler(run.sampler, true)}, ${describeGuidance(run.guidance)}`);
  }
  if (classifier) {
    lines.push(
      `classifier  ${classifier.kind}, ${size(classifier)}; ${describeNoise(classifier.process)}`,
      ...training(classifier),
    );
  }
  if (detector) lines.push(...describeDetector(detector));
  return { facts: { name, folder, ...record, ...(detector && { detector }) }, lines };
}

/** Where it is, and what its images are. */
function imagesOf(
  name: string,
  folder: string,
  { imageShape: [channels, height, width], classes }: Pick<DetectorRecord, "imageShape" | "classes">,
): string[] {
  return [
    `${name}: ${folder}`,
    `images      ${width}x${height}, ${channels === 1 ? "grey" : "colour"}`,
    `classes     ${classes.length}: ${classes.slice(0, 20).join(", ")}${classes.length > 20 ? ", ..." : ""}`,
  ];
}

/** What evaluate and sweep measure with, how well it reads, and what it compares with. */
function describeDetector({ network, accuracy, reference, training: record }: DetectorRecord): string[] {
  const [share, error] = [accuracy.value, accuracy.error].map((value) => (100 * value).toFixed(1));
  return [
    `detector    ${network.kind}, ${size(network)}; reads ${share}% ± ${error}% of ${accuracy.of}; compares with ${reference.name}`,
    ...training({ training: record }),
  ];
}

/** What a denoiser can do for classifier-free guidance; of a student, also whose it is. */
function guidanceOf(denoiser: DenoiserRecord): string {
  const { nullLabel, maxCfgScale } = denoiserSignature(denoiser);
  const { teacher, process } = denoiser;
  if (!process.consistency)
    return `${nullLabel !== undefined ? "knows" : "does not know"} the null label, for classifier-free guidance`;
  const told =
    maxCfgScale === undefined
      ? "has no classifier-free guidance"
      : `is told the scale of guidance, from 1 to ${maxCfgScale}`;
  return `student${teacher ? ` of ${teacher.name} (denoiser ${teacher.sha256.slice(0, 12)})` : ""}; ${told}`;
}

const size = ({ parameters, sha256 }: Pick<DenoiserRecord, "parameters" | "sha256">): string =>
  `${parameters.toLocaleString("en-US")} parameters (${sha256.slice(0, 12)})`;

/** The record of the training, as one line of its plain values. */
function training({ training: record }: Pick<DenoiserRecord, "training">): string[] {
  if (!record) return [];
  const facts = Object.entries(record).flatMap(([key, value]) =>
    typeof value === "object" ? [] : [`${key} ${value}`],
  );
  return [`            trained: ${facts.join(", ")}`];
}
