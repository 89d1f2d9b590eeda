import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NDArray } from "../../src/ndarray.ts";

/** Where Debian's `chromium` has SwiftShader, a Vulkan driver that needs no GPU, and a Vulkan loader. */
const chromium = "/usr/lib/chromium";

function environment(): NodeJS.ProcessEnv {
  const driver = join(chromium, "vk_swiftshader_icd.json");
  if (process.env.VK_ICD_FILENAMES || !existsSync(driver)) return process.env;
  const { LD_LIBRARY_PATH } = process.env;
  return {
    ...process.env,
    VK_ICD_FILENAMES: driver,
    LD_LIBRARY_PATH: LD_LIBRARY_PATH ? `${LD_LIBRARY_PATH}:${chromium}` : chromium,
  };
}

/** A process that runs jobs on WebGPU. */
export interface WebGpu extends AsyncDisposable {
  run(job: string): Promise<ReadonlyMap<string, NDArray>>;
}

type Reply = { readonly results?: ReadonlyMap<string, NDArray>; readonly error?: string };

/** Starts the process. Gives the reason where WebGPU cannot be had. */
export async function openWebGpu(): Promise<WebGpu | string> {
  const child: ChildProcess = fork(fileURLToPath(new URL("./webgpu-child.ts", import.meta.url)), {
    env: environment(),
    execArgv: ["--import", "tsx"],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaints = "";
  child.stderr!.on("data", (text) => {
    complaints += text;
  });
  const reply = async (): Promise<ReadonlyMap<string, NDArray>> => {
    const ended = once(child, "exit").then(([code, signal]) => ({
      error: `the process ended with ${code ?? signal}: ${complaints}`,
    }));
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
      if (child.exitCode === null && child.kill()) await once(child, "exit");
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
