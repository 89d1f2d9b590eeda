import { changedOf, type RunTexts, turnOf } from "./run-texts.ts";
import type { Described, SettledRun } from "./settings.ts";

/** A word as a shell takes it. */
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/**
 * The command line that draws a run.
 *
 * @param name of the model, as `--model` takes it
 * @param texts of the run
 */
export function commandOfRun(name: string, texts: RunTexts): string {
  const flags = Object.entries(texts).flatMap(([word, text]) => {
    if (text === "yes") return [`--${word}`];
    return text === "no" ? [`--no-${word}`] : [`--${word}`, quoted(text)];
  });
  return ["guidestar", "sample", "--model", quoted(name), ...flags, "--out", "picture.png"].join(" ");
}

/** The program that draws a run, in TypeScript for Node. */
export function codeOfRun(name: string, run: SettledRun, model: Described): string {
  const { sampler, guidance } = changedOf(run, model);
  const classes = turnOf(run.labels).map((label) => model.classes[label]);
  const options = [
    ...(model.classes.length > 0 ? [`labels: ${JSON.stringify(classes)},`] : []),
    `seeds: ${JSON.stringify(run.seeds)},`,
    `sampler: ${JSON.stringify({ kind: run.sampler.kind, ...sampler })},`,
    `guidance: ${JSON.stringify(guidance)},`,
  ];
  return [
    'import { writeFile } from "node:fs/promises";',
    'import { collect, encodePng, grid, loadModel, sample, toUint8 } from "guidestar";',
    "",
    `const model = await loadModel(${JSON.stringify(name)});`,
    "const drawing = sample(model, {",
    ...options.map((line) => `  ${line}`),
    "});",
    'await writeFile("picture.png", encodePng(grid(toUint8(await collect(drawing)))));',
    "",
  ].join("\n");
}
