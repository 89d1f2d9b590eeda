import type { Model } from "../checkpoint/model.ts";
import { type DrawOptions, draw, type SampleEvent } from "../draw/draw.ts";
import type { Place } from "../draw/plan.ts";
import { UsageError } from "../errors.ts";
import { isGuided } from "../guidance/guidances.ts";
import { scalesAt, withoutGuidance } from "../guidance/steps.ts";
import { denoiserSignature } from "../models/families.ts";
import type { NDArray } from "../ndarray.ts";
import { show } from "../tensor/shape.ts";
import { denoiserOf, predictorOf } from "./predictor.ts";
import { type RunOptions, settle } from "./settings.ts";

/** Settings of `sample`: what the pictures depend on, and where and how it runs. */
export type SampleOptions = RunOptions & SampleSettings;

/** What `sample` hands on to `draw`. */
export type SampleSettings = Pick<DrawOptions, "start" | "lowRes" | "noise" | "backend" | "signal">;

/**
 * Draws pictures of a model, step by step: `draw` with the model's networks under guidance, its process, and a sampler. Where an
 * interval or a schedule leaves guidance out, a second program runs, which does not ask what only guidance needs. An upsampler draws
 * the large pictures of small ones, `lowRes`; `cascade` gives it those of another model.
 *
 * @throws UsageError for options that the model cannot serve, and for small images that are missing or of another shape than an
 *   upsampler's; ModelError where it has no denoiser, or its classifier knows other noise; RuntimeFailure, naming the step, where
 *   pictures stop being finite
 */
export async function* sample(model: Model, options: SampleOptions): AsyncGenerator<SampleEvent, void, undefined> {
  const { weakModel, guides, start, lowRes, noise, backend, signal } = options;
  const run = settle(model, options);
  const { seeds, labels, sampler, guidance, batchSize } = run;
  const { process } = denoiserOf(model);
  checkLowRes(model, lowRes, seeds.length);
  const guided = predictorOf(model, run, { ...(weakModel && { weakModel }), ...(guides && { guides }) });
  const plain = predictorOf(model, { ...run, guidance: withoutGuidance(guidance) }).predictor;
  const isOn = isGuided(guidance) || run.ownGuides === true;
  const scales = ({ sigma, alpha, ...place }: Place) =>
    isOn ? scalesAt(guidance, { ...place, ratio: sigma / alpha }) : {};
  yield* draw({
    ...guided,
    predictor: { at: (place) => (scales(place) ? guided.predictor : plain) },
    scales: (place) => scales(place) ?? {},
    process,
    sampler,
    seeds,
    labels,
    batchSize,
    source: model.source,
    ...(start && { start }),
    ...(lowRes && { lowRes }),
    ...(noise && { noise }),
    ...(backend && { backend }),
    ...(signal && { signal }),
  });
}

/** Runs a sampling to its end; gives the pictures [N, C, H, W]. */
export async function collect(events: AsyncIterable<SampleEvent>): Promise<NDArray<"float32">> {
  let last: SampleEvent | undefined;
  for await (const event of events) last = event;
  return last!.x;
}

/** Throws UsageError unless an upsampler, and only an upsampler, is given as many small images as it enlarges, of its size. */
function checkLowRes({ denoiser, source }: Model, lowRes: NDArray | undefined, count: number): void {
  const small = denoiser && denoiserSignature(denoiser).lowRes;
  if (!small && lowRes)
    throw new UsageError(`sample: ${source} draws pictures from noise alone, so lowRes cannot be given; leave it out`);
  if (!small) return;
  const expected = show([count, ...small]);
  if (!lowRes)
    throw new UsageError(
      `sample: ${source} is an upsampler: it enlarges the pictures of another model (lowRes ${expected}), and none came; draw with that model and give this one as its upsampler`,
    );
  if (show(lowRes.shape) !== expected)
    throw new UsageError(
      `sample: ${source} enlarges small images lowRes ${expected}, one for each seed, but ${show(lowRes.shape)} came`,
    );
}
