import { loadModel } from "../src/checkpoint/model-folder.ts";
import { digitsDetector, digitsReference } from "../src/evaluation/detectors/digits.ts";
import { evaluate } from "../src/evaluation/evaluate.ts";
import { collectFeatures, features } from "../src/evaluation/features.ts";
import type { Estimate } from "../src/evaluation/metrics/bootstrap.ts";
import type { NDArray } from "../src/ndarray.ts";
import { joinRows } from "../src/runtime/batches.ts";
import { openBackend } from "../src/runtime/node.ts";
import type { Sampler, SamplerOptions } from "../src/samplers/sampler.ts";
import { makeSampler, type SamplerKind } from "../src/samplers/samplers.ts";
import { collect, sample } from "../src/sampling/sample.ts";

/** Pictures of each candidate, drawn in rounds in which all candidates take their turn. `PICTURES=250 npm run bench -- samplers` is quicker. */
const [pictures, rounds] = [Number(process.env.PICTURES ?? 1000), 5];

const baseline = makeSampler("ddpm", { steps: 250 });
const candidates: readonly Sampler[] = [
  baseline,
  ...(
    [
      ["ddim", { steps: 20 }],
      ["ddim", { steps: 50 }],
      ["euler", { steps: 20 }],
      ["heun", { steps: 10 }],
      ["dpm++2m", { steps: 8 }],
      ["dpm++2m", { steps: 10 }],
      ["dpm++2m", { steps: 15 }],
      ["dpm++2m", { steps: 20, levels: "chain" }],
      ["dpm++2m-sde", { steps: 10 }],
      ["dpm++2m-sde", { steps: 15 }],
      ["dpm++2m-sde", { steps: 20 }],
      ["sa-solver", { steps: 8 }],
      ["sa-solver", { steps: 12 }],
      ["sa-solver", { steps: 20 }],
      ["sa-solver", { steps: 20, eta: 1 }],
    ] satisfies [SamplerKind, SamplerOptions][]
  ).map(([kind, settings]) => makeSampler(kind, settings)),
];

const describe = ({ kind, steps, ...settings }: Sampler): string =>
  [`${kind}, ${steps} steps`, ...Object.entries(settings).map(([name, value]) => `${name} ${value}`)].join(", ");
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const shown = ({ value, error }: Estimate): string => `${value.toFixed(3)} +- ${error.toFixed(3)}`;

/**
 * Digits under the guidance that is the bundled model's own: how good, and in what time, samplers of few steps are beside ancestral
 * sampling of 250. Quality is the Frechet distance of the bundled detector's features to those of the MNIST training set.
 */
export async function samplers(): Promise<void> {
  await using backend = await openBackend();
  await using detector = await digitsDetector(backend);
  const model = await loadModel("digits");
  const reference = digitsReference();
  const labels = Array.from({ length: pictures }, (_, n) => n % 10);
  const drawn = candidates.map(() => ({ pictures: [] as NDArray<"float32">[], seconds: [] as number[] }));
  const each = pictures / rounds;
  for (let round = 0; round < rounds; round++)
    for (const [i, sampler] of candidates.entries()) {
      const began = performance.now();
      const seeds = Array.from({ length: each }, (_, n) => round * each + n);
      drawn[i]!.pictures.push(await collect(sample(model, { backend, seeds, labels, sampler, batchSize: 50 })));
      drawn[i]!.seconds.push((performance.now() - began) / 1000);
      process.stderr.write(`\rround ${round + 1} of ${rounds}, ${describe(sampler)}          `);
    }
  process.stderr.write("\n");
  console.log(`digits, ${pictures} pictures each; FID to the MNIST training set, by the bundled detector`);
  for (const [i, sampler] of candidates.entries()) {
    const { pictures: parts, seconds } = drawn[i]!;
    const seen = await collectFeatures(features(joinRows(parts, pictures), detector));
    const { fid, precision, recall, accuracy } = await evaluate(seen, reference, { backend, labels });
    const ratio = median(seconds.map((value, round) => drawn[0]!.seconds[round]! / value));
    const time = (1000 * median(seconds)) / each;
    const quality = { FID: fid, precision, recall, accuracy };
    const figures = Object.entries(quality).map(([name, estimate]) => `${name} ${shown(estimate!)}`);
    console.log(
      `${describe(sampler).padEnd(52)} ${time.toFixed(1).padStart(6)} ms a picture ${ratio.toFixed(1).padStart(5)}x  ${figures.join("  ")}`,
    );
  }
}
