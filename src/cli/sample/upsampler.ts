import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { settleUpsampling } from "../../sampling/cascade.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import type { Run } from "../../sampling/settings.ts";
import type { SampleValues } from "../commands/sample.ts";
import { flagOf } from "../option.ts";
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
  { upsampler: folder, upsamplerSampler, upsamplerSteps, upsamplerEta }: SampleValues,
  { base, run, before }: { readonly base: Model; readonly run: Run; readonly before: RunSpec | undefined },
): Promise<Upsampler | undefined> {
  if (before) return reopen(before, folder);
  if (folder === undefined) {
    const without = Object.entries({ upsamplerSampler, upsamplerSteps, upsamplerEta }).filter(
      ([, value]) => value !== undefined,
    );
    if (without.length === 0) return undefined;
    throw new UsageError(
      `${without.map(([key]) => flagOf(key)).join(", ")}: says how the upsampler draws, but there is none; give --upsampler FOLDER too`,
    );
  }
  const model = await loadModel(folder);
  const { sampler, guidance, clip, batch } = settleUpsampling(base, model, run, {
    sampler: samplerOf({ sampler: upsamplerSampler, steps: upsamplerSteps, eta: upsamplerEta }, model, "--upsampler-"),
  });
  return { model, record: { name: folder, denoiser: model.denoiser!.sha256, sampler, guidance, clip, batch } };
}

async function reopen({ upsampler: record }: RunSpec, folder: string | undefined): Promise<Upsampler | undefined> {
  if (!record && folder === undefined) return undefined;
  if (!record) throw new UsageError("--upsampler: the picture of --from was drawn without one; leave it out");
  const model = await loadModel(folder ?? record.name);
  if (model.denoiser?.sha256 !== record.denoiser)
    throw new ModelError(
      `${model.source}: the picture was enlarged by other weights than are there now; give their folder by --upsampler`,
    );
  return { model, record };
}
