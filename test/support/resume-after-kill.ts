import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * Starts a program in a process group of its own, and becomes `sleep`, which never asks what became of its child: once ended, it stays
 * listed as a process (a "zombie"), as in some containers.
 */
const shell = 'setsid "$0" "$@" & echo "group $!" >&2; exec sleep 1000';

/** The process group of a run, and the message with which it ended if it did not go on. */
async function begun({ stderr }: ChildProcess): Promise<{ group: number; refusal?: string }> {
  let group = 0;
  for await (const line of createInterface(stderr!)) {
    group ||= Number(/^group (\d+)$/.exec(line)?.[1] ?? 0);
    if (line.startsWith("going on from step")) return { group };
    if (line.startsWith("guidestar: ")) return { group, refusal: line };
  }
  throw new Error("the shell ended");
}

/**
 * Kills a training run together with its process group, and resumes it at once; so many times.
 *
 * @param main the command line of `guidestar`
 * @param data a folder of CLASS/IMAGE
 * @returns the messages of those runs that did not go on
 */
export async function resumeAfterKill(
  [command, ...before]: readonly [string, ...string[]],
  { data, out, rounds }: { readonly data: string; readonly out: string; readonly rounds: number },
): Promise<string[]> {
  const train = (...options: string[]) => [...before, "train", "denoiser", "--out", out, ...options];
  const first = train("--data", data, "--preset", "tiny", "--batch-size", "4", "--threads", "1", "--steps", "1");
  const { status, stderr } = spawnSync(command, first, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the run that is to be resumed failed: ${stderr}`);

  const parents: ChildProcess[] = [];
  const refusals: string[] = [];
  try {
    // The first one resumes a run that ended by itself.
    for (let round = 0; round <= rounds; round++) {
      const args = ["-c", shell, command, ...train("--resume", "--steps", "1000000")];
      const parent = spawn("sh", args, { stdio: ["ignore", "ignore", "pipe"] });
      parents.push(parent);
      const { group, refusal } = await begun(parent);
      if (refusal === undefined) process.kill(-group, "SIGKILL");
      else refusals.push(refusal);
    }
  } finally {
    for (const parent of parents) parent.kill("SIGKILL");
  }
  return refusals;
}
