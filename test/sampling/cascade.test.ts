import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ModelError, UsageError } from "../../src/errors.ts";
import { toUint8 } from "../../src/images/planes.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { type CascadeEvent, type CascadeOptions, cascade } from "../../src/sampling/cascade.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { loadedTinyModel, loadedTinyUpsampler } from "../support/tiny-model.ts";

const base = loadedTinyModel();
const upsampler = loadedTinyUpsampler();
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const options: CascadeOptions = {
  labels: ["star", "circle", "square"],
  seeds: [4, 5, 6],
  sampler: ddim({ steps: 2 }),
  upsampling: { sampler: ddpm({ steps: 2 }) },
};
async function run(more: Partial<CascadeOptions> = {}): Promise<CascadeEvent[]> {
  const events: CascadeEvent[] = [];
  for await (const event of cascade(base, upsampler, { ...options, backend, ...more })) events.push(event);
  return events;
}
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
};

/** Pictures written as grey bytes, and read as the reference reads them. */
const throughFile = (pictures: NDArray<"float32">): NDArray<"float32"> =>
  float32(
    pictures.shape,
    toUint8(pictures).flatMap(({ data }) => Array.from(data, (byte) => byte / 127.5 - 1)),
  );

describe("a cascade", () => {
  test("completes pictures before it enlarges them, from noise of its own", async () => {
    const start = {
      kind: "inpaint",
      x0: float32([3, 1, 8, 8], new Float32Array(192).fill(0.25)),
      mask: float32(
        [8, 8],
        Array.from({ length: 64 }, (_, i) => (i < 32 ? 1 : 0)),
      ),
      resample: 2,
    } as const;
    const asked: string[] = [];
    const noise = (seed: number, stream: number, count: number) => {
      asked.push(`${seed}/${stream}`);
      return normals(seed, stream, count);
    };
    const events = await run({ start, noise });
    const { upsampling, ...first } = options;
    const small = await collect(sample(base, { ...first, start, backend }));
    expect(distance(events.findLast(({ stage }) => stage === "base")!.x.data, small.data)).toBe(0);
    expect([...small.data.subarray(32, 64)]).toEqual(Array(32).fill(0.25));
    expect(new Set(asked).size).toBe(asked.length);
  });

  test("is two samplings, the second given the first one's pictures as their file would hold them", async () => {
    const asked: string[] = [];
    const noise = (seed: number, stream: number, count: number) => {
      asked.push(`${seed}/${stream}`);
      return normals(seed, stream, count);
    };
    const events = await run({ noise });
    expect(events.map(({ stage, step, x }) => [stage, step, ...x.shape])).toEqual([
      ["base", 1, 3, 1, 8, 8],
      ["base", 2, 3, 1, 8, 8],
      ["upsampler", 1, 3, 1, 16, 16],
      ["upsampler", 2, 3, 1, 16, 16],
    ]);
    // Three seeds with one draw each for the first model, three for the second: no two of a seed from the same stream.
    expect(asked).toHaveLength(12);
    expect(new Set(asked).size).toBe(12);

    const { upsampling, ...first } = options;
    const small = await collect(sample(base, { ...first, backend }));
    expect(distance(small.data, events[1]!.x.data)).toBe(0);
    const streams = [...new Set(asked.map((name) => Number(name.split("/")[1])))].slice(1);
    const large = await collect(
      sample(upsampler, {
        ...{ labels: ["star", "circle", "square"], seeds: [4, 5, 6], backend, ...upsampling },
        guidance: { cfgScale: 1, classifierScale: 0 },
        lowRes: throughFile(small),
        noise: (seed, stream, count) => normals(seed, streams[stream]!, count),
      }),
    );
    expect(distance(large.data, events[3]!.x.data)).toBeLessThan(1e-5);
  });

  test("draws each picture from its own seed, label and small picture, whatever the batch", async () => {
    const together = (await run()).at(-1)!.x;
    const inBatches = (await run({ batchSize: 2 })).at(-1)!.x;
    // A value near the edge of two bytes may fall to the other side in another batch: a 127th in one pixel of the small picture.
    expect(distance(together.data, inBatches.data)).toBeLessThan(0.05);
    const relabelled = (await run({ labels: ["circle"] })).at(-1)!.x;
    expect(distance(together.data.subarray(0, 256), relabelled.data.subarray(0, 256))).toBeGreaterThan(0.01);
  });

  test("doubles the small pictures where classifier-free guidance doubles the batch", async () => {
    const { config } = upsampler.denoiser!;
    // Two classes and the null label take the three rows of the embedding.
    const mixing = {
      ...upsampler,
      denoiser: { ...upsampler.denoiser!, config: { ...config, nullLabel: true, numClasses: 2 } },
    };
    const lowRes = float32([2, 1, 8, 8], normals(1, 0, 128));
    const draw = (label: string, cfgScale: number) =>
      collect(
        sample(
          { ...mixing, classes: ["a", "b"] },
          {
            backend,
            labels: [label],
            seeds: [1, 2],
            sampler: ddim({ steps: 2 }),
            guidance: { cfgScale },
            lowRes,
          },
        ),
      );
    const [plain, zero, strong] = [await draw("a", 1), await draw("b", 0), await draw("a", 3)];
    expect(distance(plain.data, strong.data)).toBeGreaterThan(1e-3);
    // A scale of zero is the unconditional prediction, which no label changes.
    expect(distance(zero.data, (await draw("a", 0)).data)).toBeLessThan(1e-5);
    const swapped = await collect(
      sample(
        { ...mixing, classes: ["a", "b"] },
        {
          backend,
          labels: ["a"],
          seeds: [2],
          sampler: ddim({ steps: 2 }),
          guidance: { cfgScale: 3 },
          lowRes: float32([1, 1, 8, 8], lowRes.data.slice(64)),
        },
      ),
    );
    expect(distance(swapped.data, strong.data.subarray(256))).toBeLessThan(1e-4);
  });

  test("settles for an upsampler that is told no class, and for classes that one model only counts", async () => {
    const counted = { ...base, classes: ["0", "1", "2"] };
    const events = [];
    for await (const event of cascade(counted, upsampler, { ...options, labels: [2], backend })) events.push(event);
    expect(events).toHaveLength(4);
    const { numClasses: _, ...config } = upsampler.denoiser!.config;
    const { "label_emb.weight": __, ...denoiser } = upsampler.weights.denoiser!;
    const free = { ...upsampler, classes: [], denoiser: { ...upsampler.denoiser!, config }, weights: { denoiser } };
    for await (const event of cascade(base, free, { ...options, backend })) events.push(event);
    expect(events).toHaveLength(8);
  });
});

describe("refuses", () => {
  const seeds = [1, 2];
  const small = (...shape: number[]) => float32(shape);
  test.each<[string, () => AsyncIterable<unknown>, new (message: string) => Error, RegExp]>([
    ["an upsampler without small pictures", () => sample(upsampler, { seeds }), UsageError, /lowRes \[2, 1, 8, 8\]/],
    [
      "small pictures of another size",
      () => sample(upsampler, { seeds, lowRes: small(2, 1, 4, 4) }),
      UsageError,
      /lowRes \[2, 1, 8, 8\].* but \[2, 1, 4, 4\] came/,
    ],
    [
      "another number of small pictures",
      () => sample(upsampler, { seeds, lowRes: small(1, 1, 8, 8) }),
      UsageError,
      /one for each seed, but \[1, 1, 8, 8\] came/,
    ],
    [
      "small pictures for a model that enlarges none",
      () => sample(base, { seeds, lowRes: small(2, 1, 8, 8) }),
      UsageError,
      /from noise alone, so lowRes cannot be given/,
    ],
    [
      "classifier-free guidance of an upsampler without a null label",
      () => sample(upsampler, { seeds, lowRes: small(2, 1, 8, 8), guidance: { cfgScale: 2 } }),
      UsageError,
      /null label/,
    ],
    ["two models that draw from noise", () => cascade(base, base, { seeds }), ModelError, /is no upsampler/],
    ["two upsamplers", () => cascade(upsampler, upsampler, { seeds }), ModelError, /\[1, 8, 8\].*\[1, 16, 16\]/],
    [
      "other classes",
      () => cascade({ ...base, classes: ["circle", "star", "square"] }, upsampler, { seeds }),
      ModelError,
      /class 1 is "square", but "star"/,
    ],
  ])("%s", async (_, start, type, message) => {
    const drain = async () => {
      for await (const _ of start()) break;
    };
    const error = await drain().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
  });
});
