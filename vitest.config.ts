import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

export default defineConfig({
  // Tests that import the package by its name get its sources, as the compiler does; those of the built package start processes.
  resolve: {
    alias: [
      { find: /^guidestar$/, replacement: source("index.ts") },
      { find: /^guidestar\/(\w+)$/, replacement: source("public/$1.ts") },
    ],
  },
  test: {
    include: ["{test,conformance,examples}/**/*.test.ts"],
    // ONNX Runtime has threads of its own, and its binding lives once per process: forks, and few of them.
    // Each test compiles what it runs, and leaves nothing in the user's cache.
    env: {
      GUIDESTAR_PROGRAM_CACHE: "off",
      ORT_DISABLE_TELEMETRY: "1",
      XDG_CACHE_HOME: join(tmpdir(), "guidestar-test-cache"),
    },
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
