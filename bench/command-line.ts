import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Time from starting `guidestar sample --model digits --class all --count 10` to its picture, and to its first step. */
export async function commandLine(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "guidestar-bench-"));
  try {
    const runs = [];
    for (let i = 0; i < 3; i++) runs.push(await once(join(folder, `${i}.png`)));
    const [fastest] = runs.sort((a, b) => a.total - b.total);
    const seconds = (value: number): string => `${(value / 1000).toFixed(2)} s`;
    console.log(`sample, ten digits, start to picture               ${seconds(fastest!.total)}   (aim: at most 6 s)`);
    console.log(
      `sample, ten digits, start to end of first step     ${seconds(fastest!.firstStep)}   (aim: 1 s and a step)`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function once(out: string): Promise<{ total: number; firstStep: number }> {
  const began = performance.now();
  const args = ["dist/cli/main.js", "sample", "--model", "digits", "--class", "all", "--count", "10", "--out", out];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let firstStep: number | undefined;
  let messages = "";
  child.stderr.on("data", (text: Buffer) => {
    messages += text;
    if (firstStep === undefined && /\bstep 1\b|\b1\/\d+/.test(messages)) firstStep = performance.now() - began;
  });
  return new Promise((resolve, reject) => {
    child.on("exit", (code) =>
      code === 0
        ? resolve({ total: performance.now() - began, firstStep: firstStep ?? Number.NaN })
        : reject(new Error(`bench: guidestar sample failed: ${messages}`)),
    );
  });
}
