import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NDArray } from "../../src/ndarray.ts";

// Debian's `chromium` has SwiftShader, a Vulkan driver that needs no GPU, and a Vulkan loader.
const chromium = "/usr/lib/chromium";
const driver = join(chromium, "vk_swiftshader_icd.json");

/** Whether there is an adapter in software, so that WebGPU must be had. */
export const hasSoftwareAdapter = !process.env.VK_ICD_FILENAMES && existsSync(driver);

const environment: NodeJS.ProcessEnv = hasSoftwareAdapter
  ? {
      ...process.env,
      VK_ICD_FILENAMES: driver,
      LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, chromium].filter(Boolean).join(":"),
    }
  : process.env;

/** A process that runs jobs on WebGPU. */
export interface WebGpu extends AsyncDisposable {
  run(job: string): Promise<ReadonlyMap<string, NDArray>>;
}

type Reply = { readonly results?: ReadonlyMap<string, NDArray>; readonly error?: string };

/** Starts the process; gives the reason where WebGPU cannot be had. */
export async function openWebGpu(): Promise<WebGpu | string> {
  const child: ChildProcess = fork(fileURLToPath(new URL("./webgpu-child.ts", import.meta.url)), {
    env: environment,
    execArgv: ["--import", "tsx"],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaints = "";
  child.stderr!.on("data", (text) => {
    complaints += text;
  });
  const ended = once(child, "exit").then(([code, signal]) => ({
    error: `the process ended with ${code ?? signal}: ${complaints}`,
  }));
  const reply = async (): Promise<ReadonlyMap<string, NDArray>> => {
    const { results, error }: Reply = await Promise.race([once(child, "message").then(([message]) => message), ended]);
    if (!results) throw new Error(error);
    return results;
  };
  const gpu: WebGpu = {
    run(job) {
      child.send(job);
      return reply();
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
  try {
    await reply();
    await gpu.run("neg");
    return gpu;
  } catch (error) {
    await gpu[Symbol.asyncDispose]();
    return (error as Error).message;
  }
}
