import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Model } from "../../src/checkpoint/model.ts";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { measure, type Ruler } from "../../src/cli/sweep/measure.ts";
import { detectorFor } from "../../src/cli/sweep/reference.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { classesOf } from "../../src/evaluation/detectors/fits.ts";
import { realAgainstReal } from "../../src/evaluation/real.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import type { Cell, Claim, Setup } from "./claim.ts";
import { classifiers } from "./classifiers.ts";
import { guidance } from "./guidance.ts";
import { normalization } from "./normalization.ts";
import { type ClaimOptions, readOptions } from "./options.ts";
import { chart, type Mean, type Measured, section } from "./report.ts";
import { samplers } from "./samplers.ts";
import { variances } from "./variances.ts";

/**
 * What the papers claim, looked at with a model of one's own: `npm run claims -- N`. Each cell is drawn and measured with several seeds. What is
 * finished is a line of claim-N.jsonl and is not done again; claim-N.md and claim-N.svg are a section and its chart.
 */
const claims: readonly Claim[] = [guidance, variances, normalization, samplers, classifiers];

/** The model; where --data has other images, or another network is trained, what stands for one of these images. */
async function openModel({ claim, model: name, data }: ClaimOptions, dataset: Setup["dataset"]): Promise<Model> {
  const model = await loadModel(name);
  if (!dataset || (claim !== 3 && model.imageShape.join() === dataset.imageShape.join())) return model;
  const { classes, imageShape } = dataset;
  return { format: model.format, classes, imageShape, preprocessing: {}, source: data!, weights: {} };
}

const options = readOptions(process.argv.slice(2));
const { claim: number, out, samples, seeds, threads, data, background } = options;
const claim = claims[number - 1]!;
const dataset = data === undefined ? undefined : await openDataset(data, background ? { background } : {});
const model = await openModel(options, dataset);
await using backend = await openBackend({ threads });
const { detector, known } = await detectorFor(options.detector, model, backend);
if (!known) throw new Error("the detector has seen no real images; give one that `guidestar train detector` made");
const { reference } = known;
const places = classesOf(detector, model.classes);
const classes = places.includes(undefined) ? undefined : (places as readonly number[]);
const ruler: Ruler = { detector, reference, classes, backend, signal: new AbortController().signal };
const settings = {
  ...{
    samples,
    steps: options.steps,
    detector: detector.name,
    model: model.denoiser?.sha256.slice(0, 12) ?? "trained",
  },
  ...(data !== undefined && { data: basename(data), minutes: options.minutes, preset: options.preset ?? "usual" }),
};
mkdirSync(out, { recursive: true });
const file = (ending: string): string => join(out, `claim-${number}.${ending}`);
const all: Measured[] = existsSync(file("jsonl"))
  ? readFileSync(file("jsonl"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  : [];
const own = (): Measured[] => all.filter((each) => JSON.stringify(each.settings) === JSON.stringify(settings));
const floor: Readonly<Record<string, unknown>> = { ...(await realAgainstReal(samples, reference, { backend })) };
const real = Object.fromEntries(claim.measures.map((name) => [name, floor[name] as Mean | undefined]));
const cells = await claim.cells({ options, model, dataset, backend });

for (let seed = 0; seed < seeds; seed++)
  for (const cell of cells) {
    const { series, x } = cell;
    if (own().some((each) => each.series === series && each.x === x && each.seed === seed)) continue;
    const result: Measured = { series, x, seed, settings, measures: await measured(cell, seed) };
    all.push(result);
    appendFileSync(file("jsonl"), `${JSON.stringify(result)}\n`);
    process.stderr.write(`${JSON.stringify(result)}\n`);
  }
const text = section(claim, own(), claim.statements(cells), real);
writeFileSync(file("md"), text);
const subtitle = `${samples} pictures, ${seeds} seeds; ${model.denoiser ? basename(options.model) : basename(data!)}, detector ${detector.name}`;
writeFileSync(file("svg"), chart(claim, own(), real, subtitle));
console.log(text);

/** Draws a cell with a seed and measures it. Seeds share no noise. */
async function measured(cell: Cell, seed: number): Promise<Measured["measures"]> {
  const drawing = await cell.model(seed);
  const numbers = Array.from({ length: samples }, (_, i) => i);
  const labels = numbers.map((i) => i % Math.max(1, drawing.classes.length));
  const pictures = await collect(
    sample(drawing, {
      ...cell.settings,
      seeds: numbers.map((i) => seed * samples + i),
      ...(drawing.classes.length > 0 && { labels }),
      ...{ batchSize: 50, backend },
    }),
  );
  const metrics = await measure(pictures, labels, ruler);
  const values = Object.entries(metrics).map(([name, estimate]) => [name, estimate?.value ?? null] as const);
  return { ...Object.fromEntries(values), ...(await cell.more?.(drawing, seed)) };
}
