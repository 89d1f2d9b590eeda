import { describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import { coefficientNames, coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { perImage } from "../../src/diffusion/process.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { ModelError, UsageError } from "../../src/errors.ts";
import { collectBound } from "../../src/evaluation/likelihood/bound.ts";
import {
  type BoundEvent,
  type BoundOptions,
  type ImageSource,
  variationalBound,
} from "../../src/evaluation/likelihood/likelihood.ts";
import { boundTerms } from "../../src/evaluation/likelihood/terms.ts";
import { float32, int32 } from "../../src/ndarray.ts";
import "../../src/public/node-engine.ts";
import { normals } from "../../src/random.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { concat } from "../../src/tensor/functions.ts";
import { f32, type Spec, trace } from "../../src/tensor/trace.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

describe("images of Gaussian pixels, whose best denoiser is known", () => {
  const deviation = 0.25;
  const config = ddpmProcess({ schedule: "linear", steps: 100, prediction: "x0", variance: "learned" });
  const chain = noiseSchedule(config);
  const shape = [8, 1, 32, 32];
  const count = 8 * 32 * 32;
  /** 8-bit values, as those of pictures. */
  const pixels = normals(3, 0, count).map((value) => Math.round((deviation * value + 1) * 127.5) / 127.5 - 1);

  /** The mean over the images of each term, of the denoiser that knows p(x_{t-1} | x_t) exactly. */
  async function exactTerms() {
    const specs = {
      x0: f32(...shape),
      noise: f32(...shape),
      c: Object.fromEntries(coefficientNames.map((name) => [name, f32(8)])) as Record<
        (typeof coefficientNames)[number],
        Spec<"float32">
      >,
    };
    const graph = trace(specs, ({ x0, noise, c }) => {
      // x_0 given x_t is normal: its mean is gain x_t, its variance `spread`.
      const total = c.alpha
        .square()
        .mul(deviation ** 2)
        .add(c.sigma.square());
      const gain = c.alpha.mul(deviation ** 2).div(total);
      const spread = c.sigma
        .square()
        .mul(deviation ** 2)
        .div(total);
      const logVariance = c.posteriorX0.square().mul(spread).add(c.posteriorVariance).log();
      return boundTerms(
        (xt) => concat([xt.mul(perImage(gain, xt)), perImage(logVariance, xt).expand(...xt.shape)], 1),
        c,
        { x0, noise, chain, clip: false },
      );
    });
    await using backend = await openBackend({ threads: 1 });
    await using program = await compile(graph, backend);
    const mean = ({ data }: { data: Float32Array }): number => data.reduce((a, b) => a + b, 0) / data.length;
    const terms: { vb: number; xstartMse: number; mse: number; prior: number }[] = [];
    for (const index of chain.timesteps.keys()) {
      const values = await program.run({
        x0: float32(shape, pixels),
        noise: float32(shape, normals(4, index, count)),
        c: coefficients(chain, new Array<number>(8).fill(index)),
      });
      terms.push({
        vb: mean(values.vb),
        xstartMse: mean(values.xstartMse),
        mse: mean(values.mse),
        prior: mean(values.prior),
      });
    }
    return terms;
  }

  test("the bound is tight, and the squared errors are those of the posterior", async () => {
    const terms = await exactTerms();
    const bound = terms.reduce((sum, { vb }) => sum + vb, terms[0]!.prior);
    const square = pixels.reduce((sum, value) => sum + value ** 2, 0) / count;
    // -log2 of the normal density at these pixels, times the width of a bin of 8 bits.
    const expected =
      0.5 * Math.log2(2 * Math.PI * deviation ** 2) + square / (2 * deviation ** 2 * Math.LN2) + Math.log2(127.5);
    expect(Math.abs(bound - expected)).toBeLessThan(0.02);
    expect(expected).toBeGreaterThan(5); // so that the tolerance is small

    const { alpha, sigma } = chain.tables;
    for (const index of [0, 10, 50, 99]) {
      const [a, s] = [alpha[index]! ** 2, sigma[index]! ** 2];
      const spread = (s * deviation ** 2) / (a * deviation ** 2 + s);
      expect(terms[index]!.xstartMse / spread).toBeCloseTo(1, 1);
      expect(terms[index]!.mse / ((a * spread) / s)).toBeCloseTo(1, 1);
    }
  });
});

/** `count` images of the tiny model's shape, of 8-bit values. */
const picture = (count: number): ImageSource => ({
  count,
  take: (positions) => ({
    x: float32(
      [positions.length, 1, 8, 8],
      positions.flatMap((i) => Array.from({ length: 64 }, (_, p) => ((p * (i + 3)) % 256) / 127.5 - 1)),
    ),
    y: int32(
      [positions.length],
      positions.map((i) => i % 3),
    ),
  }),
});

async function all(
  images: ImageSource,
  options: BoundOptions,
  model: Model = loadedTinyModel(),
): Promise<BoundEvent[]> {
  const events: BoundEvent[] = [];
  for await (const event of variationalBound(model, images, options)) events.push(event);
  return events;
}

async function* replay(events: readonly BoundEvent[]): AsyncGenerator<BoundEvent> {
  yield* events;
}

describe("the loop", () => {
  test("goes through whole batches, the last one short, and counts each image once", async () => {
    const events = await all(picture(5), { respacing: "4", batchSize: 2 });
    expect(events.map(({ run }) => run)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(events.every(({ runs }) => runs === 12)).toBe(true);
    expect(events.map(({ positions }) => positions.length)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
    expect(events.slice(0, 4).map(({ index, timestep }) => [index, timestep])).toEqual([
      [3, 19],
      [2, 13],
      [1, 6],
      [0, 0],
    ]);
    const bound = await collectBound(replay(events));
    expect(bound.images).toBe(5);
    expect(bound.total).toBeCloseTo(bound.prior + bound.terms.reduce((sum, { vb }) => sum + vb, 0), 6);
    // Terms of single images, summed by hand.
    const own = events.filter(({ positions }) => positions.includes(4));
    const total = own.reduce((sum, { vb }) => sum + vb[0]!, own[0]!.prior[0]!);
    expect(bound.perImage[4]).toBeCloseTo(total, 5);
  });

  test("an image's terms depend on neither its batch nor the timesteps that are kept beside", async () => {
    const alone = await collectBound(replay(await all(picture(3), { respacing: "4", batchSize: 1 })));
    const together = await collectBound(replay(await all(picture(3), { respacing: "4", batchSize: 3 })));
    for (const [i, value] of alone.perImage.entries())
      expect(Math.abs(together.perImage[i]! / value - 1)).toBeLessThan(1e-4);
    const whole = await collectBound(replay(await all(picture(3), { batchSize: 3 })));
    const last = whole.terms.find(({ timestep }) => timestep === 19)!;
    expect(together.terms[3]!.xstartMse / last.xstartMse).toBeCloseTo(1, 4);
    const reseeded = await collectBound(replay(await all(picture(3), { respacing: "4", batchSize: 3, seed: 1 })));
    expect(reseeded.total).not.toBe(together.total);
  });

  test("labels count", async () => {
    const told = picture(2);
    const other: ImageSource = {
      ...told,
      take: (positions) => ({ x: told.take(positions).x, y: int32([positions.length], [2, 2]) }),
    };
    const [a, b] = [await all(told, { respacing: "2" }), await all(other, { respacing: "2" })];
    expect(a[0]!.mse).not.toEqual(b[0]!.mse);
  });

  test("ends at the signal, before the next run", async () => {
    const controller = new AbortController();
    const events = variationalBound(loadedTinyModel(), picture(2), { respacing: "4", signal: controller.signal });
    await events.next();
    controller.abort(new Error("enough"));
    await expect(events.next()).rejects.toThrow("enough");
  });

  test("refuses what has no bound", async () => {
    const { denoiser, ...rest } = loadedTinyModel();
    await expect(all(picture(1), {}, rest)).rejects.toThrow(ModelError);
    const config = { ...denoiser!.config, lowResolution: 4 };
    const upsampler: Model = { ...rest, denoiser: { ...denoiser!, kind: "adm-super-resolution", config } };
    await expect(all(picture(1), {}, upsampler)).rejects.toThrow(/enlarges/);
    await expect(all(picture(0), {})).rejects.toThrow(UsageError);
    await expect(all(picture(1), { batchSize: 0 })).rejects.toThrow(/batchSize/);
    const { take } = picture(1);
    await expect(all({ count: 1, take: (at) => ({ x: take(at).x }) }, {})).rejects.toThrow(/labels/);
    await expect(all({ count: 1, take: (at) => ({ x: take(at).x, y: int32([1], [4]) }) }, {})).rejects.toThrow(
      /0 to 3/,
    );
  });

  test("names the timestep of a term that is no number", async () => {
    const { take } = picture(1);
    const broken: ImageSource = {
      count: 1,
      take: (at) => ({ ...take(at), x: float32([1, 1, 8, 8], new Float32Array(64).fill(Number.NaN)) }),
    };
    await expect(all(broken, { respacing: "2" })).rejects.toThrow(/timestep 19 is NaN/);
  });
});
