import { expect, test } from "vitest";
import { openBackend } from "../../src/runtime/node.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { withRecentPrograms } from "../../src/web/sampler/recent-programs.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

test("a program that was run lately is not opened anew, and old ones are freed", async () => {
  await using engine = await openBackend({ threads: 1 });
  const said: string[] = [];
  const counting: typeof engine = {
    ...engine,
    async load(...asked) {
      const loaded = await engine.load(...asked);
      said.push("open");
      return {
        ...loaded,
        async [Symbol.asyncDispose]() {
          said.push("free");
          await loaded[Symbol.asyncDispose]();
        },
      };
    },
  };
  const backend = withRecentPrograms(counting, 2);
  const model = loadedTinyModel();
  const draw = async (seed: number, label: number, cfgScale: number) =>
    collect(
      sample(model, {
        seeds: [seed],
        labels: [label],
        sampler: { kind: "ddim", steps: 2 },
        guidance: { cfgScale },
        backend,
      }),
    );
  const count = (what: string): number => said.filter((each) => each === what).length;
  // The first drawing of a backend also opens what finds out the processor's layout.
  await draw(1, 0, 2);
  const before = count("open");
  const opened = (): number => count("open") - before;
  // Other seeds and classes, as the engine itself draws them.
  const { data } = await draw(5, 2, 2);
  expect(opened()).toBe(0);
  const alone = { seeds: [5], labels: [2], sampler: { kind: "ddim", steps: 2 }, guidance: { cfgScale: 2 } };
  expect(data).toEqual((await collect(sample(model, { ...alone, backend: engine }))).data);
  // Another scale is another program; of three the one used longest ago goes.
  await draw(5, 2, 3);
  await draw(5, 2, 2);
  await draw(5, 2, 4);
  expect(opened()).toBe(2);
  expect(count("open") - count("free")).toBe(2);
  // At the same time too.
  await Promise.all([draw(1, 1, 2), draw(2, 1, 4)]);
  expect(opened()).toBe(2);
  await draw(5, 2, 3);
  expect(opened()).toBe(3);
  // Other weights are another program.
  const other = {
    ...model,
    weights: {
      ...model.weights,
      denoiser: Object.fromEntries(
        Object.entries(model.weights.denoiser!).map(([key, value]) => [
          key,
          { ...value, data: value.data.map((x) => x / 2) },
        ]),
      ),
    },
  };
  await collect(sample(other, { ...alone, backend }));
  expect(opened()).toBe(4);
  expect(count("open") - count("free")).toBe(2);
});
