import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { jobs } from "../support/device-jobs.ts";
import { expectClose } from "../support/runs.ts";
import { hasSoftwareAdapter, openWebGpu } from "../support/webgpu.ts";

const gpu = await openWebGpu();
const unavailable = typeof gpu === "string";
if (unavailable && hasSoftwareAdapter) throw new Error(gpu);
if (unavailable)
  console.warn(
    `SKIPPED: WebGPU was not compared with the CPU, for there is no adapter. On Debian, \`apt-get install chromium\` brings one in software.\n${gpu}`,
  );

describe.skipIf(unavailable)("WebGPU gives what the CPU gives", () => {
  let cpu: Backend;
  beforeAll(async () => {
    cpu = await openBackend({ threads: 1 });
  });
  afterAll(async () => {
    await cpu[Symbol.asyncDispose]();
    if (!unavailable) await gpu[Symbol.asyncDispose]();
  });

  // Compiling shaders for a GPU in software takes its time.
  test.each(jobs)("$name", { timeout: 300_000 }, async ({ name, run, tolerance, scale }) => {
    if (unavailable) return;
    const expected = await run(cpu);
    expect(expected.size).toBeGreaterThan(0);
    expectClose(await gpu.run(name), Object.fromEntries(expected), { tolerance, scale });
  });
});
