/**
 * How soon a model of other classes draws new ones: `npx tsx bench/fine-tuning.ts MODEL DATA CLASS,CLASS,CLASS`, for example
 * `npx tsx bench/fine-tuning.ts runs/nine tiles.zip armour,floor,weapon --minutes 5`.
 *
 * MODEL must not have seen the classes. It begins with 100 images of each (--images) and is trained for so many minutes (--minutes) by the
 * recipe of `guidestar train denoiser --from`, and a network like it without its weights for as many. Then both draw each class, and a judge
 * says which class it sees: a small network that was trained on three quarters of all images of these classes, and is tested on the others.
 */

import { parseArgs } from "node:util";
import type { Model } from "../src/checkpoint/model.ts";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { batchSequence, gather } from "../src/data/batches.ts";
import type { Split } from "../src/data/content.ts";
import { openDataset } from "../src/data/dataset.ts";
import { writeAtomically } from "../src/files/atomic.ts";
import { grid } from "../src/images/grid.ts";
import { toUint8 } from "../src/images/planes.ts";
import { encodePng } from "../src/images/png.ts";
import { classifierPreset } from "../src/models/adm/presets.ts";
import { classifierNetwork } from "../src/models/families.ts";
import { float32, type NDArray } from "../src/ndarray.ts";
import { initialize } from "../src/nn/initialize.ts";
import { permutation } from "../src/random.ts";
import { denoiserRecipe } from "../src/recipes/denoiser.ts";
import { runInBatches } from "../src/runtime/batches.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { ddim } from "../src/samplers/solvers/ddim.ts";
import { collect, sample } from "../src/sampling/sample.ts";
import { oneHot } from "../src/tensor/functions.ts";
import { full } from "../src/tensor/tensor.ts";
import { f32, trace } from "../src/tensor/trace.ts";
import type { Weights } from "../src/training/events.ts";
import type { Task } from "../src/training/task.ts";
import { train, trainDenoiser } from "../src/training/train.ts";

const number = (fallback: string) => ({ type: "string", default: fallback }) as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: number("5"),
    images: number("100"),
    draw: number("50"),
    scale: number("2"),
    "sampling-steps": number("25"),
    "judge-steps": number("300"),
    "learning-rate": { type: "string" },
    "batch-size": number("64"),
    threads: { type: "string" },
    sheets: { type: "string" },
    scratch: { type: "boolean", default: false },
  },
});
const [source, path, names] = positionals;
if (source === undefined || path === undefined || names === undefined) {
  console.error("usage: npx tsx bench/fine-tuning.ts MODEL DATA CLASS,CLASS,CLASS [--minutes 5] [--scratch]");
  process.exit(2);
}
const classes = names.split(",");
const seed = 7;

const model = await loadModel(source);
const data = await openDataset(path, { size: model.imageShape[1], channels: 3 });
await using backend = await openBackend(values.threads === undefined ? {} : { threads: Number(values.threads) });

/** Images of the wanted classes by class, in an order of the seed. */
const byClass = classes.map((name) => {
  const label = data.classes.indexOf(name);
  const own = Array.from(data.train.labels.keys()).filter((i) => data.train.labels[i] === label);
  if (own.length === 0) throw new Error(`${path} has no class ${name}: it has ${data.classes.join(", ")}`);
  return Array.from(permutation(seed, label, own.length), (i) => own[i]!);
});

/** Those of the data set as one of its own, of these classes. */
function subset(indices: readonly (readonly number[])[]): Split {
  const { shape, images } = data.train;
  const size = shape[0] * shape[1] * shape[2];
  const all = indices.flat();
  const joined = new Uint8Array(all.length * size);
  for (const [at, i] of all.entries()) joined.set(images.subarray(i * size, (i + 1) * size), at * size);
  return {
    ...{ count: all.length, shape, images: joined },
    labels: Int32Array.from(indices.flatMap((own, label) => own.map(() => label))),
  };
}

/** A judge of clean images: images [N, C, H, W] to the class that it sees in each. */
async function trainJudge(real: Split, test: Split) {
  const config = classifierPreset("tiny", { imageShape: real.shape, classes: classes.length });
  const network = classifierNetwork({ kind: "adm-classifier", config });
  const next = batchSequence(real, { batchSize: 48, seed, crop: 2, flip: true });
  const clean = (n: number) => full([n], 0);
  const task: Task<{ x: NDArray<"float32">; y: NDArray<"int32"> }> = {
    weights: initialize(network, seed),
    batchAt: (step) => ({ ...next(step) }),
    loss: (params, { x, y }) => ({
      objective: network(params, x, clean(x.shape[0]!)).logSoftmax().mul(oneHot(y, classes.length)).sum(1).neg(),
    }),
  };
  let weights: Weights = {};
  const steps = Number(values["judge-steps"]);
  const how = { learningRate: 2e-3, weightDecay: 0.05, maxGradientNorm: 1, decay: "cosine", emaRate: 0.99 } as const;
  for await (const event of train(task, { ...how, backend, steps }))
    if (event.kind === "done") weights = event.averaged;
  const batchSize = 50;
  const specs = Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, f32(...shape)]));
  const graph = trace({ parameters: specs, x: f32(batchSize, ...real.shape) }, ({ parameters, x }) => ({
    logits: network(parameters, x, clean(batchSize)),
  }));
  const program = await compile(graph, backend, { bind: { parameters: weights } });
  const see = async (images: NDArray<"float32">): Promise<number[]> => {
    const { logits } = await runInBatches(images, batchSize, (x) => program.run({ x }));
    return Array.from({ length: images.shape[0]! }, (_, i) => {
      const row = logits.data.subarray(i * classes.length, (i + 1) * classes.length);
      return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    });
  };
  const { x, y } = gather(test, Array.from(test.labels.keys()));
  return { see, accuracy: share(await see(x), Array.from(y.data)) };
}

const share = (seen: readonly number[], asked: readonly number[]): number =>
  seen.filter((label, i) => label === asked[i]).length / seen.length;
const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;

const quarter = (own: readonly number[]): number => Math.floor(own.length / 4);
const judge = await trainJudge(
  subset(byClass.map((own) => own.slice(quarter(own)))),
  subset(byClass.map((own) => own.slice(0, quarter(own)))),
);
console.log(`the judge reads ${percent(judge.accuracy)} of real images that it was not trained on`);

// The images that are learnt from are not those that the judge is tested on.
const few = subset(byClass.map((own) => own.slice(-Number(values.images))));
const dataset = { classes, imageShape: few.shape, train: few };

/** Trains for the minutes, and tells what the judge sees in samples. */
async function measure(name: string, from: Model | undefined): Promise<void> {
  const recipe = denoiserRecipe({
    ...{ dataset, from: model, flip: true, batchSize: Number(values["batch-size"]), minutes: Number(values.minutes) },
    ...(values["learning-rate"] !== undefined && { learningRate: Number(values["learning-rate"]) }),
  });
  const weights = from ? recipe.training.weights : initialize(recipe.network, seed);
  let [steps, averaged]: [number, Weights] = [0, {}];
  for await (const event of trainDenoiser({ ...recipe.training, weights, backend }))
    if (event.kind === "done") [steps, averaged] = [event.step, event.averaged];
  const { denoiser, classifier: _, ...facts } = recipe.model(averaged);
  const drawn: Model = {
    ...{ format: "guidestar-model-2", source: name, ...facts },
    denoiser: { ...denoiser!.record, file: "denoiser.safetensors", sha256: "", parameters: 1 },
    weights: { denoiser: averaged },
  };
  const asked = Array.from({ length: Number(values.draw) * classes.length }, (_, i) => i % classes.length);
  const images = await collect(
    sample(drawn, {
      ...{ labels: asked, seeds: asked.map((_, i) => i), backend, batchSize: 30, cfgScale: Number(values.scale) },
      sampler: ddim({ steps: Number(values["sampling-steps"]) }),
    }),
  );
  const seen = await judge.see(images);
  const each = classes.map(
    (own, label) =>
      `${own} ${percent(
        share(
          seen.filter((_, i) => asked[i] === label),
          asked.filter((each) => each === label),
        ),
      )}`,
  );
  console.log(`${name}: ${steps} steps; read as asked ${percent(share(seen, asked))} (${each.join(", ")})`);
  if (values.sheets === undefined) return;
  const rows = 6;
  const size = images.data.length / asked.length;
  const first = float32(
    [rows * classes.length * 2, ...images.shape.slice(1)],
    images.data.slice(0, rows * classes.length * 2 * size),
  );
  await writeAtomically(
    `${values.sheets}-${name.replaceAll(" ", "-")}.png`,
    encodePng(grid(toUint8(first), { columns: classes.length * 2, scale: 2 })),
  );
}

await measure("fine-tuned", model);
if (values.scratch) await measure("from scratch", undefined);
