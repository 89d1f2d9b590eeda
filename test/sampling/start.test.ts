import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { reconstructionErrors } from "../../src/sampling/encode.ts";
import { collect, type SampleOptions, sample } from "../../src/sampling/sample.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

const model = loadedTinyModel();
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const draw = (options: SampleOptions): Promise<NDArray<"float32">> => collect(sample(model, { backend, ...options }));
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
};
/** Pictures of the tiny model's shape, away from the limits. */
const x0 = float32(
  [2, 1, 8, 8],
  normals(1, 0, 128).map((value) => 0.3 * Math.tanh(value)),
);
/** The right half is drawn. */
const mask = float32(
  [8, 8],
  Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 1)),
);

describe("from a picture", () => {
  test("strength 1 is plain sampling, and the least changes little", async () => {
    for (const sampler of [ddim({ steps: 5 }), ddpm({ steps: 5 })]) {
      const options = { seeds: [3, 4], sampler };
      const plain = await draw(options);
      const whole = await draw({ ...options, start: { kind: "picture", x0, strength: 1 } });
      expect(whole.data).toEqual(plain.data);
    }
    const sampler = ddim({ steps: 20 });
    const near = await draw({ seeds: [3, 4], sampler, start: { kind: "picture", x0, strength: 0.05 } });
    const far = await draw({ seeds: [3, 4], sampler, start: { kind: "picture", x0, strength: 0.8 } });
    expect(distance(near.data, x0.data)).toBeLessThan(0.5);
    expect(reconstructionErrors(near, x0)[0]).toBeLessThan(reconstructionErrors(far, x0)[0]! / 3);
  });

  test("takes the last steps alone: floor(strength steps)", async () => {
    const events = [];
    const start = { kind: "picture", x0, strength: 0.58 } as const;
    for await (const { step, steps } of sample(model, {
      backend,
      seeds: [1, 2],
      sampler: ddim({ steps: 10 }),
      start,
    }))
      events.push([step, steps]);
    expect(events).toEqual([1, 2, 3, 4, 5].map((step) => [step, 5]));
  });
});

describe("inpainting", () => {
  test.each([ddim({ steps: 4 }), ddpm({ steps: 4 })])(
    "keeps known pixels, draws the others: $kind",
    async (sampler) => {
      const start = { kind: "inpaint", x0, mask, resample: 3 } as const;
      const { data } = await draw({ seeds: [1, 2], sampler, start });
      const other = await draw({ seeds: [8, 9], sampler, start });
      const known = data.map((_, i) => 1 - mask.data[i % 64]!);
      expect(data.filter((_, i) => known[i])).toEqual(x0.data.filter((_, i) => known[i]));
      expect(distance(data, other.data)).toBeGreaterThan(0.05);
      const once = await draw({ seeds: [1, 2], sampler, start: { ...start, resample: 1 } });
      expect(distance(data, once.data)).toBeGreaterThan(0.01);
    },
  );

  test("pictures depend on their own seed only", async () => {
    const options = { labels: [1], sampler: ddpm({ steps: 3 }) };
    const start = { kind: "inpaint", x0, mask, resample: 2 } as const;
    const together = await draw({ ...options, seeds: [1, 2], start });
    const second = float32([1, 1, 8, 8], x0.data.slice(64));
    const alone = await draw({ ...options, seeds: [2], start: { ...start, x0: second } });
    expect(distance(together.data.slice(64), alone.data)).toBeLessThan(1e-4);
  });

  test("no two purposes read the same noise", async () => {
    const asked: number[] = [];
    const noise = (seed: number, stream: number, count: number) => {
      asked.push(stream);
      return normals(seed, stream, count);
    };
    const start = { kind: "inpaint", x0, mask, resample: 3 } as const;
    await draw({ seeds: [1, 2], sampler: ddpm({ steps: 3 }), start, noise });
    // Two pictures; the start; 2 x 3 + 1 runs, each with noise of the step and of the known pixels; 2 x 2 jumps.
    expect(asked).toHaveLength(2 * (1 + 2 * 7 + 4));
    expect(new Set(asked).size).toBe(1 + 2 * 7 + 4);
  });
});

test.each([
  ["a strength of 0", { kind: "picture", x0, strength: 0 }, /strength must be above 0/],
  ["a strength above 1", { kind: "picture", x0, strength: 1.1 }, /at most 1/],
  ["a strength of less than a step", { kind: "picture", x0, strength: 0.1 }, /less than one step; give at least 0.25/],
  ["pictures for other seeds", { kind: "latents", x: float32([1, 1, 8, 8]) }, /\[2, 1, 8, 8\], one for each seed/],
  ["a mask of another size", { kind: "inpaint", x0, mask: float32([4, 4]) }, /mask of tiny must be \[8, 8\]/],
  ["no resampling", { kind: "inpaint", x0, mask, resample: 0 }, /resample must be a whole number from 1/],
] as const)("%s is refused", async (_, start, message) => {
  const drawing = draw({ seeds: [1, 2], sampler: ddim({ steps: 4 }), start });
  await expect(drawing).rejects.toThrow(message);
  await expect(drawing).rejects.toThrow(UsageError);
});
