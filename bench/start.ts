import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Model } from "../src/checkpoint/model.ts";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { publishedNetworks } from "../src/models/adm/published.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { sample } from "../src/sampling/sample.ts";
import { f32, trace } from "../src/tensor/trace.ts";
import { trainDenoiser } from "../src/training/train.ts";
import { batch, labels, noise, side, trainingOptions } from "./networks.ts";
import { writeRandomModel } from "./random-model.ts";

const self = fileURLToPath(import.meta.url);

/** Seconds of a start: by the clock, and of processors' work, which other processes don't change. */
interface Start {
  /** From a loaded model to a program that is ready: all until the first step has ended, less a step. */
  readonly compile: { readonly wall: number; readonly cpu: number };
  /** From the start of the process to the end of the first step. */
  readonly toFirstStep: number;
}

/** A first start, with no programs kept, and the second one. */
function twoStarts(...what: string[]): [Start, Start] {
  const cache = mkdtempSync(join(tmpdir(), "guidestar-programs-"));
  try {
    const start = (): Start => {
      const child = spawnSync(process.execPath, ["--import", "tsx", self, "child", ...what], {
        encoding: "utf8",
        env: { ...process.env, XDG_CACHE_HOME: cache, GUIDESTAR_PROGRAM_CACHE: "" },
      });
      if (child.status !== 0) throw new Error(`bench: the measured process failed: ${child.stderr}`);
      return JSON.parse(child.stdout);
    };
    return [start(), start()];
  } finally {
    rmSync(cache, { recursive: true });
  }
}

/** First and second start of programs of several sizes. */
export async function start(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "guidestar-start-"));
  const report = (name: string, ...what: string[]): void => {
    const [first, second] = twoStarts(...what);
    const seconds = (value: number): string => value.toFixed(2);
    console.log(
      `${name.padEnd(50)} compiling ${seconds(first.compile.wall)} s, second start ${seconds(second.compile.wall)} s; ` +
        `of processors ${seconds(first.compile.cpu)} s, ${seconds(second.compile.cpu)} s: ` +
        `${(first.compile.cpu / second.compile.cpu).toFixed(1)} times faster; ` +
        `start to end of first step ${seconds(first.toFirstStep)} s, ${seconds(second.toFirstStep)} s: ` +
        `${(first.toFirstStep / second.toFirstStep).toFixed(1)} times faster`,
    );
  };
  try {
    report("training, 64 channels, batch 16", "train");
    report("ten digits, denoiser alone", "sample", "digits", "0", "10");
    report("ten digits, guided by the classifier", "sample", "digits", "1", "10");
    await writeRandomModel(folder, {
      denoiser: publishedNetworks["adm-64"].config,
      classifier: publishedNetworks["adm-64-classifier"].config,
    });
    report("296 M weights, 64x64, a step", "sample", folder, "0", "1");
    report("the same, guided by 65 M weights", "sample", folder, "1", "1");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Two steps of something. */
async function measure(steps: AsyncIterator<unknown>): Promise<Start> {
  const now = () => {
    const { user, system } = process.cpuUsage();
    return { wall: performance.now() / 1e3, cpu: (user + system) / 1e6 };
  };
  const began = now();
  await steps.next();
  const first = now();
  await steps.next();
  const second = now();
  const compile = (key: "wall" | "cpu"): number => first[key] - began[key] - (second[key] - first[key]);
  return { compile: { wall: compile("wall"), cpu: compile("cpu") }, toFirstStep: first.wall };
}

async function* trainingSteps(backend: Backend, options: ReturnType<typeof trainingOptions>) {
  const x = noise([batch, 3, side, side]);
  const task = { ...options, batchAt: () => ({ x, y: labels }), seed: 1, steps: 5, learningRate: 1e-4 };
  for await (const event of trainDenoiser({ ...task, backend })) if (event.kind === "step") yield event;
}

function samplingSteps(backend: Backend, model: Model, scale: number, count: number) {
  const seeds = Array.from({ length: count }, (_, i) => i);
  const guidance = { classifierScale: scale, cfgScale: 1 };
  return sample(model, { labels: seeds.map((i) => i % model.classes.length), seeds, guidance, backend });
}

if (process.argv[2] === "child") {
  const [, , , what, name, scale, count] = process.argv;
  const backend = await openBackend();
  // The thread and the engine in it have started, as they have when the command line has read a model.
  const nothing = trace({ x: f32(1) }, ({ x }) => ({ y: x.neg() }));
  await compile(nothing, backend);
  const steps =
    what === "train"
      ? trainingSteps(backend, trainingOptions("bench-64"))
      : samplingSteps(backend, await loadModel(name!), Number(scale), Number(count));
  console.log(JSON.stringify(await measure(steps)));
  process.exit();
}
