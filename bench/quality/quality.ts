import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { writeSheet } from "../../src/cli/train/sheet.ts";
import { type Dataset, openDataset } from "../../src/data/dataset.ts";
import { countParameters } from "../../src/nn/module.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { trainDenoiser } from "../../src/training/train.ts";
import { worked } from "../processor-time.ts";
import { type QualityOptions, readOptions } from "./options.ts";
import { recipes } from "./recipes.ts";
import { chart, type Point, type Result, table } from "./report.ts";
import { openRuler, type Ruler } from "./ruler.ts";

/**
 * How good pictures are after minutes of training, by recipe: the same data, seeds and detector, one training after the other. Minutes are of
 * processors' work, see `worked`; drawing and measuring take none of the budget. Finished recipes are in results.jsonl and are not done again.
 */
export async function quality(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const { out, data, background, minutes, samples, steps, threads } = options;
  const dataset = await openDataset(data, { ...(background && { background }) });
  await using backend = await openBackend({ threads });
  const ruler = await openRuler(dataset, options, backend);
  const settings = {
    data: basename(data),
    minutes,
    samples,
    steps,
    threads,
    detector: ruler.detector,
    ...(background && { background }),
  };
  mkdirSync(out, { recursive: true });
  const path = join(out, "results.jsonl");
  const all: Result[] = existsSync(path)
    ? readFileSync(path, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];
  const same = ({ settings: its }: Result): boolean => JSON.stringify(its) === JSON.stringify(settings);
  for (let seed = 0; seed < options.seeds; seed++)
    for (const name of options.recipes) {
      if (all.some((result) => same(result) && result.recipe === name && result.seed === seed)) continue;
      const result = {
        recipe: name,
        seed,
        settings,
        ...(await measured(name, seed, { options, dataset, backend, ruler })),
      };
      all.push(result);
      appendFileSync(path, `${JSON.stringify(result)}\n`);
      write(all.filter(same), ruler, options);
    }
  console.log(write(all.filter(same), ruler, options));
}

interface Around {
  readonly options: QualityOptions;
  readonly dataset: Dataset;
  readonly backend: Backend;
  readonly ruler: Ruler;
}

/** Trains by a recipe, and measures on the way. */
async function measured(name: string, seed: number, { options, dataset, backend, ruler }: Around) {
  const { minutes, points: wanted, scale, out } = options;
  const recipe = denoiserRecipe({ dataset, heldOut: 0, seed, minutes, ...recipes[name]!.options });
  const { batchSize = 64 } = recipes[name]!.options;
  // A clock that stands still while pictures are drawn and measured.
  let away = 0;
  const clock = (): number => worked() - away;
  const points: Point[] = [];
  let guided: Result["guided"] = null;
  let reached = { seconds: 0, step: 0 };
  const sampleMinutes = minutes / wanted;
  for await (const event of trainDenoiser({ ...recipe.training, backend, clock, sampleMinutes })) {
    if (event.kind === "step") {
      reached = event;
      if (event.step % 20 === 0)
        process.stderr.write(
          `\r${name}: step ${event.step}, ${event.seconds.toFixed(0)} s, loss ${event.loss.toFixed(4)}   `,
        );
    }
    if (event.kind !== "samples" && event.kind !== "done") continue;
    const began = worked();
    const folder = join(out, `${name}-${seed}`);
    const saved = await saveModel(folder, recipe.model(event.averaged, { recipe: name, step: event.step }));
    const model = { ...saved, source: folder, weights: { denoiser: event.averaged } };
    const point = {
      minutes: reached.seconds / 60,
      images: event.step * batchSize,
      steps: event.step,
      ...(await ruler.measure(model)),
    };
    points.push(point);
    process.stderr.write(`\n${JSON.stringify(point)}\n`);
    await writeSheet(
      join(folder, "sheets", `${String(event.step).padStart(6, "0")}.png`),
      model,
      backend,
      new AbortController().signal,
    );
    if (event.kind === "done" && recipe.training.labelDropout! > 0)
      guided = { scale, ...(await ruler.measure(model, scale)) };
    away += worked() - began;
  }
  return { parameters: countParameters(recipe.network), points, guided };
}

/** Writes table and chart; gives the table. */
function write(
  results: readonly Result[],
  { floor, detector }: Ruler,
  { out, data, minutes, samples, threads }: QualityOptions,
): string {
  const text = table(results, floor);
  const subtitle = `${samples} pictures at each point, ${detector}; ${threads} thread${threads === 1 ? "" : "s"}`;
  writeFileSync(join(out, "table.md"), `${text}\n`);
  writeFileSync(
    join(out, "quality.svg"),
    chart(results, { title: `Quality against minutes: ${basename(data)}, ${minutes} minutes`, subtitle }),
  );
  return text;
}
