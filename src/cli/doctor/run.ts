import { fork } from "node:child_process";
import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { bundledModels } from "../../checkpoint/model-folder.ts";
import { RuntimeFailure } from "../../errors.ts";
import { cacheFolder } from "../../files/cache.ts";
import { makeFolder } from "../../files/make-folder.ts";
import { loadSharp } from "../../images/sharp.ts";
import { messageOf } from "../../one-line.ts";
import type { Device } from "../../runtime/backend.ts";
import type { Context } from "../terminal/command.ts";
import type { DoctorValues } from "./command.ts";

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  /** `missing`: guidestar works without it. */
  readonly state: "ok" | "missing" | "broken";
  readonly detail: string;
  readonly advice?: string;
}

/** `guidestar doctor`. */
export async function runDoctor({ json }: DoctorValues, { terminal, signal }: Context): Promise<void> {
  const findings: Finding[] = [];
  for (const look of [node, memory, cpu, webgpu, sharp, cache, models]) {
    signal.throwIfAborted();
    const finding = await look();
    findings.push(finding);
    if (!json) terminal.out(line(finding));
  }
  if (json) terminal.out(`${JSON.stringify(findings)}\n`);
  const broken = findings.filter(({ state }) => state === "broken");
  if (broken.length > 0)
    throw new RuntimeFailure(`${broken.map(({ name }) => name).join(", ")}: not as guidestar needs it`);
}

const marks = { ok: "ok", missing: "--", broken: "NO" };
const line = ({ name, state, detail, advice }: Finding): string =>
  `${marks[state].padEnd(4)}${name.padEnd(8)} ${detail}\n${advice ? `${" ".repeat(13)}${advice}\n` : ""}`;

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  const detail = `Node ${process.versions.node}, ${process.platform} ${process.arch}`;
  if (major > 20 || (major === 20 && minor >= 19)) return { name: "node", state: "ok", detail };
  return { name: "node", state: "broken", detail, advice: "install Node 20.19 or newer: https://nodejs.org" };
}

function memory(): Finding {
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const detail = `${availableParallelism()} threads, ${gibibytes(freemem())} of ${gibibytes(totalmem())} memory free`;
  const advice = freemem() < 2 ** 30 ? "training may need 1 GiB: give --micro-batch 4, or close something" : undefined;
  return { name: "machine", state: "ok", detail, ...(advice && { advice }) };
}

/** Runs a small program on a device in a process of its own, for a driver may abort it. Resolves to what went wrong. */
async function probe(device: Device): Promise<string | undefined> {
  const script = new URL(import.meta.url.endsWith(".ts") ? "./probe.ts" : "./probe.js", import.meta.url);
  const child = fork(fileURLToPath(script), [device], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let complaints = "";
  child.stderr!.on("data", (text) => {
    complaints += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const answer = once(child, "message").then(([message]) => message as { error?: string });
  const end = once(child, "close").then(([code, signal]) => ({
    error: complaints.trim().split("\n").at(-1) || `the process ended with ${code ?? signal}`,
  }));
  const { error } = await Promise.race([answer, end]);
  clearTimeout(timer);
  child.kill("SIGKILL");
  return error;
}

async function cpu(): Promise<Finding> {
  const error = await probe("cpu");
  if (error === undefined) return { name: "cpu", state: "ok", detail: "a program compiled and ran" };
  const advice = "reinstall: npm rebuild onnxruntime-node; there is no binary for Intel Macs and musl libc";
  return { name: "cpu", state: "broken", detail: error, advice };
}

async function webgpu(): Promise<Finding> {
  const error = await probe("webgpu");
  if (error === undefined)
    return { name: "webgpu", state: "ok", detail: "a program compiled and ran: --device webgpu" };
  const advice = "optional; it needs a GPU and a driver for Vulkan, Metal or Direct3D 12";
  // The engine says where in its sources it failed, too.
  return { name: "webgpu", state: "missing", detail: /Failed to .*/.exec(error)?.[0] ?? error.split("\n")[0]!, advice };
}

async function sharp(): Promise<Finding> {
  try {
    const sharp = await loadSharp();
    await sharp({ create: { width: 1, height: 1, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    return {
      name: "sharp",
      state: "ok",
      detail: `sharp ${sharp.versions.sharp ?? ""}, libvips ${sharp.versions.vips}`,
    };
  } catch (error) {
    const advice =
      "images other than PNG cannot be read, GIF not written; reinstall: npm install --include=optional sharp";
    return { name: "sharp", state: "broken", detail: messageOf(error), advice };
  }
}

async function cache(): Promise<Finding> {
  const folder = cacheFolder("datasets");
  try {
    makeFolder(folder);
    const { bavail, bsize } = await statfs(folder);
    const free = (bavail * bsize) / 2 ** 30;
    const advice = free < 1 ? "less than 1 GiB is free; decoded images of large data sets may not fit" : undefined;
    return { name: "cache", state: "ok", detail: `${folder}, ${free.toFixed(1)} GiB free`, ...(advice && { advice }) };
  } catch (error) {
    const advice = "images will be decoded anew each time; set XDG_CACHE_HOME to a folder that can be written";
    return { name: "cache", state: "missing", detail: (error as Error).message, advice };
  }
}

async function models(): Promise<Finding> {
  const names = await bundledModels();
  if (names.length > 0) return { name: "models", state: "ok", detail: names.join(", ") };
  return { name: "models", state: "missing", detail: "no bundled models", advice: "give --model FOLDER to sample" };
}
