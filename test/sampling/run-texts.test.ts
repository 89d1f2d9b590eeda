import { expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { sample as command } from "../../src/cli/sample/command.ts";
import { runOptions } from "../../src/cli/sample/spec.ts";
import { flagOf, type Option } from "../../src/cli/terminal/option.ts";
import { knownSamplers } from "../../src/samplers/sampler.ts";
import { codeOfRun, commandOfRun } from "../../src/sampling/run-code.ts";
import { type RunTexts, runOfTexts, textsOfRun, turnOf } from "../../src/sampling/run-texts.ts";
import { type SettledRun, settle } from "../../src/sampling/settings.ts";

const model = await loadModel("digits");

const runs: RunTexts[] = [
  {},
  { class: "3", count: "1" },
  { class: "3,7", count: "5", seed: "12", "cfg-scale": "3" },
  { class: "3,7,3", count: "9" },
  { "cfg-scale": "1", "classifier-scale": "2.5", "gradient-at": "x_t" },
  { unconditional: "yes", "classifier-scale": "4" },
  { unconditional: "yes" },
  { "cfg-plus-plus": "yes", "cfg-scale": "0.4" },
  { "cfg-scale": "3", "guidance-interval": "0.2:5", "cfg-rescale": "0.7" },
  { sampler: "ddim", steps: "ddim25", eta: "0.5" },
  { sampler: "dpm++2m-sde", steps: "20", levels: "karras" },
  ...knownSamplers()
    .filter(({ consistency }) => !consistency)
    .map(({ kind }) => ({ sampler: kind, steps: "7" })),
];

/** The run that the command line makes of its words. */
function runOfCommand(words: readonly string[]): SettledRun {
  const options = command.options as Readonly<Record<string, Option<unknown>>>;
  const values: Record<string, unknown> = { class: "*", seed: 0 };
  for (let i = 0; i < words.length; i++) {
    const off = words[i]!.startsWith("--no-");
    const [key, option] = Object.entries(options).find(([key]) => flagOf(key) === words[i]!.replace("--no-", "--"))!;
    values[key] = option.placeholder === undefined ? !off : option.parse(words[++i]!, words[i]!);
  }
  return settle(model, runOptions(values as never, model));
}

test.each(runs)("%j comes back, as texts and as a command line", (texts) => {
  const run = runOfTexts(texts, model);
  const written = textsOfRun(run, model);
  expect(runOfTexts(written, model)).toEqual(run);
  expect(textsOfRun(runOfTexts(written, model), model)).toEqual(written);
  const words = commandOfRun("digits", written)
    .split(" ")
    .map((word) => word.replace(/^'(.*)'$/, "$1"));
  expect(words.slice(0, 4)).toEqual(["guidestar", "sample", "--model", "digits"]);
  expect(runOfCommand(words.slice(4, -2))).toEqual(run);
});

test("what is usual is not written", () => {
  expect(textsOfRun(runOfTexts({}, model), model)).toEqual({
    class: "*",
    count: "10",
    seed: "0",
    sampler: "dpm++2m",
    steps: "10",
  });
});

test("words that a shell would split are quoted", () => {
  expect(commandOfRun("my model", { class: "it's" })).toContain("--model 'my model' --class 'it'\\''s'");
});

test("the program has what the run has", () => {
  const run = runOfTexts({ class: "3", seed: "7", "cfg-scale": "2", sampler: "ddim", steps: "25" }, model);
  const [, object] = /sample\(model, (\{.*?\n\})\)/s.exec(codeOfRun("digits", run, model))!;
  expect(settle(model, new Function(`return (${object})`)())).toEqual(run);
});

test("labels in turn are found", () => {
  expect(turnOf([3, 7, 3, 7, 3])).toEqual([3, 7]);
  expect(turnOf([3, 3])).toEqual([3]);
  expect(turnOf([3, 7, 7])).toEqual([3, 7, 7]);
});

test("seeds with gaps are no texts", () => {
  expect(() => textsOfRun(settle(model, { seeds: [1, 3] }), model)).toThrow(/don't follow each other/);
});
