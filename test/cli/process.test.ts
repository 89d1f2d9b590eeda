import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type FSWatcher, watch } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { latestCheckpoint, stepOf } from "../../src/checkpoint/run-folder.ts";
import { resumeAfterKill } from "../support/resume-after-kill.ts";
import { sameBytes, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(() => writeImages(at("images")));

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts a program of its own; `onLine` sees its messages as they come. */
async function run(argv: readonly string[], onLine: (text: string, child: ChildProcess) => void = () => {}) {
  const child = spawn(process.execPath, ["--import", "tsx", main, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let [out, messages] = ["", ""];
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    messages += text;
    onLine(messages, child);
  });
  const [code, signal] = await once(child, "close");
  return { code, signal, out, messages };
}

const train = (out: string, steps: number): string[] => [
  ...["train", "denoiser", "--data", at("images"), "--out", at(out), "--preset", "tiny", "--batch-size", "4"],
  ...["--threads", "1", "--steps", String(steps), "--warm-up-steps", "4"],
  ...["--checkpoint-every", "5", "--sample-every", "1000000"],
];
/** More than a run takes before it is stopped. */
const endless = 1_000_000;
const isTraining = (messages: string): boolean => messages.includes(`/${endless}  `);

test("training that is interrupted, then killed, ends with the bytes of one that was not", async () => {
  let asked = false;
  const stopped = await run(train("stopped", endless), (text, child) => {
    // Once only: a second one would end it at once.
    if (isTraining(text) && !asked) asked = child.kill("SIGINT");
  });
  expect(stopped).toMatchObject({ code: 130, out: "" });
  const [, command] = /to go on: guidestar (.*)\n$/.exec(stopped.messages) ?? [];
  expect(command).toBe(`train denoiser --out ${at("stopped")} --resume`);
  const goOn = command!.split(" ");

  // Killed while it writes its next checkpoint.
  const checkpoints = at("stopped", "checkpoints", "denoiser");
  const before = await readdir(checkpoints);
  let watched: FSWatcher | undefined;
  const killed = await run(goOn, (text, child) => {
    if (isTraining(text)) watched ??= watch(checkpoints, (_, name) => before.includes(name!) || child.kill("SIGKILL"));
  });
  watched?.close();
  expect(killed).toMatchObject({ signal: "SIGKILL", out: "" });
  await loadModel(at("stopped"));

  const steps = 10 + stepOf(basename((await latestCheckpoint(checkpoints))!))!;
  const straight = run(train("straight", steps));
  expect(await run([...goOn, "--steps", String(steps)])).toMatchObject({ code: 0, out: `${at("stopped")}\n` });
  expect(await straight).toMatchObject({ code: 0 });
  const last = `step-${String(steps).padStart(8, "0")}`;
  for (const file of [
    "denoiser.safetensors",
    "model.json",
    `samples/${last}.png`,
    `checkpoints/denoiser/${last}.safetensors`,
  ])
    expect(await sameBytes(at("stopped", file), at("straight", file)), file).toBe(true);
  expect((await readdir(checkpoints)).filter((name) => stepOf(name) === undefined)).toEqual([]);
});

/** `GUIDESTAR_KILLS=50 npx vitest run test/cli/process.test.ts` tries more often. */
const kills = Number(process.env.GUIDESTAR_KILLS ?? 3);

test.runIf(process.platform === "linux")(
  `a run that is killed with its process group goes on at once, ${kills} times of ${kills}`,
  { timeout: 30_000 + 20_000 * kills },
  async () => {
    const command = [process.execPath, "--import", "tsx", main] as const;
    expect(await resumeAfterKill(command, { data: at("images"), out: at("killed"), rounds: kills })).toEqual([]);
  },
);
