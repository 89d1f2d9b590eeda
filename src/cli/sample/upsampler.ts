import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { settleUpsampling } from "../../sampling/cascade.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import type { SettledRun } from "../../sampling/settings.ts";
import { flagOf } from "../terminal/option.ts";
import type { SampleValues } from "./command.ts";
import { samplerOf } from "./spec.ts";

/** The second model of a cascade, and how it draws. */
export interface Upsampler {
  readonly model: Model;
  readonly record: NonNullable<RunSpec["upsampler"]>;
}

/**
 * The second model of a cascade, where options or the record of `--from` ask for one.
 *
 * @throws UsageError for options that need `--upsampler`; ModelError where the models don't fit each other, or the weights are
 * others than those of the record
 */
export async function openUpsampler(
  { upsampler: folder, ...values }: SampleValues,
  { base, run, before }: { readonly base: Model; readonly run: SettledRun; readonly before: RunSpec | undefined },
): Promise<Upsampler | undefined> {
  if (before) return reopen(before, folder);
  const given = Object.entries(values).filter(([key, value]) => key.startsWith("upsampler") && value !== undefined);
  if (folder === undefined) {
    if (given.length === 0) return undefined;
    throw new UsageError(
      `${given.map(([key]) => flagOf(key)).join(", ")}: says how the upsampler draws, but there is none; give --upsampler FOLDER too`,
    );
  }
  const model = await loadModel(folder);
  const { sampler, guidance, clip, batchSize } = settleUpsampling(base, model, run, {
    sampler: samplerOf(Object.fromEntries(given.map(([key, value]) => [nameOf(key), value])), model, "--upsampler-"),
  });
  return { model, record: { name: folder, denoiser: model.denoiser!.sha256, sampler, guidance, clip, batchSize } };
}

/** The option of the sampler that one of the upsampler repeats: upsamplerSteps -> steps. */
const nameOf = (key: string): string =>
  key.charAt("upsampler".length).toLowerCase() + key.slice("upsampler".length + 1);

async function reopen({ upsampler: record }: RunSpec, folder: string | undefined): Promise<Upsampler | undefined> {
  if (!record) return undefined;
  const model = await loadModel(folder ?? record.name);
  if (model.denoiser?.sha256 !== record.denoiser)
    throw new ModelError(
      `${model.source}: the picture was enlarged by other weights than are there now; give their folder by --upsampler`,
    );
  return { model, record };
}
