import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openBackend } from "../src/runtime/node.ts";
import { trainDenoiser } from "../src/training/train.ts";
import { batch, labels, noise, side, trainingOptions } from "./networks.ts";

const self = fileURLToPath(import.meta.url);

/** Largest resident memory of a process that trains the 64-channel UNet at batch 16, optimizer and average included. */
export async function memory(): Promise<void> {
  const child = spawnSync(process.execPath, ["--import", "tsx", self, "child"], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(`bench: the measured process failed: ${child.stderr}`);
  console.log(`training, 64 channels, batch 16, peak memory       ${child.stdout.trim()}   (aim: at most 0.90 GB)`);
}

if (process.argv[2] === "child") {
  await using backend = await openBackend();
  const x = noise([batch, 3, side, side]);
  const run = trainDenoiser({
    ...trainingOptions("bench-64"),
    batchAt: () => ({ x, y: labels }),
    seed: 1,
    backend,
    steps: 5,
    learningRate: 1e-4,
  });
  for await (const event of run) if (event.kind === "step" && event.step === 5) break;
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  console.log(`${(Number(peak) / 1e6).toFixed(2)} GB`);
}
