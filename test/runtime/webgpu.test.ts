import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { jobs } from "../support/device-jobs.ts";
import { expectClose } from "../support/runs.ts";
import { openWebGpu } from "../support/webgpu.ts";

const gpu = await openWebGpu();
const unavailable = typeof gpu === "string";

describe.skipIf(unavailable)(
  unavailable
    ? `WebGPU against CPU: SKIPPED, for no WebGPU adapter was found (on Debian, \`apt-get install chromium\` brings one in software): ${gpu}`
    : "WebGPU gives what the CPU gives",
  () => {
    let cpu: Backend;
    beforeAll(async () => {
      cpu = await openBackend({ threads: 1 });
    });
    afterAll(async () => {
      await cpu[Symbol.asyncDispose]();
      if (!unavailable) await gpu[Symbol.asyncDispose]();
    });

    test.each(jobs)("$name", async ({ name, run, tolerance, scale }) => {
      if (unavailable) return;
      const expected = await run(cpu);
      expect(expected.size).toBeGreaterThan(0);
      expectClose(await gpu.run(name), Object.fromEntries(expected), { tolerance, scale });
    });
  },
);
