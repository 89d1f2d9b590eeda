import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { publishedNetworks } from "../src/models/adm/published.ts";
import "../src/public/node-engine.ts";
import { sample } from "../src/sampling/sample.ts";
import { type RandomModel, writeRandomModel } from "./random-model.ts";

const self = fileURLToPath(import.meta.url);

/** What a process needed that loaded a model and took one sampling step of one picture. */
export interface StepCost {
  readonly weights: number;
  /** Largest resident memory, in bytes. */
  readonly peak: number;
  /** Seconds to load the model, and from there to the end of the step. */
  readonly load: number;
  readonly step: number;
}

/** Measures a step of a model of random weights, guided by its classifier at each scale; a process each. The model is removed. */
export async function costOfStep(model: RandomModel, scales: readonly number[]): Promise<StepCost[]> {
  const folder = mkdtempSync(join(tmpdir(), "guidestar-large-"));
  try {
    const { denoiser, classifier } = await writeRandomModel(folder, model);
    return scales.map((scale) => {
      const args = ["--import", "tsx", self, "child", folder, String(scale)];
      const child = spawnSync(process.execPath, args, { encoding: "utf8" });
      if (child.status !== 0) throw new Error(`bench: the measured process failed: ${child.stderr}`);
      return { weights: denoiser + (scale === 0 ? 0 : classifier), ...JSON.parse(child.stdout) };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Peak memory and time of a step of the published 128-pixel networks, on random weights. */
export async function large(): Promise<void> {
  const { config: denoiser } = publishedNetworks["adm-128"];
  const { config: classifier } = publishedNetworks["adm-128-classifier"];
  for (const storage of ["float32", "float16"] as const)
    for (const { weights, peak, load, step } of await costOfStep({ denoiser, classifier, storage }, [0, 1])) {
      const name = `${(weights / 1e6).toFixed(0)} M weights stored as ${storage}, a step of 128x128`;
      const times = `${load.toFixed(1)} s to load, ${step.toFixed(1)} s to compile and take a step`;
      console.log(`${name.padEnd(50)} ${(peak / 1e9).toFixed(2)} GB   (aim: below 6 GB)   ${times}`);
    }
}

if (process.argv[2] === "child") {
  const peak = (): number => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
  const seconds = (since: number): number => (performance.now() - since) / 1000;
  const began = performance.now();
  const model = await loadModel(process.argv[3]!);
  const load = seconds(began);
  const loaded = performance.now();
  const run = sample(model, { labels: [0], seeds: [1], guidance: { classifierScale: Number(process.argv[4]) } });
  const { value } = await run.next();
  const step = seconds(loaded);
  if (!value?.x.data.every(Number.isFinite)) throw new Error("bench: the step gave no finite picture");
  console.log(JSON.stringify({ peak: peak(), load, step }));
  process.exit();
}
