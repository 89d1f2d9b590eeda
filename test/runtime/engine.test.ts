import { expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { moments } from "../../src/evaluation/metrics/statistics.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openEngine, provideEngine } from "../../src/runtime/engine.ts";
import { sample } from "../../src/sampling/sample.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

const backend = { device: "cpu" } as Backend;

test("without an entry that brings an engine, work without a backend is refused, and says what to do", async () => {
  const refused = /no engine .* import "guidestar" or "guidestar\/node".* provideEngine\(\) .* `backend`/;
  await expect(openEngine()).rejects.toThrow(UsageError);
  await expect(openEngine()).rejects.toThrow(refused);
  await expect(sample(loadedTinyModel(), { seeds: [1] }).next()).rejects.toThrow(refused);
  const rows = { rows: 2, columns: 1, data: Float64Array.of(1, 2) };
  await expect(moments([rows])).rejects.toThrow(refused);
});

test("the engine that was provided last opens the backends", async () => {
  provideEngine(async () => ({ ...backend }));
  provideEngine(async () => backend);
  expect(await openEngine()).toBe(backend);
});
