import { afterAll, beforeAll, expect, test } from "vitest";
import { matrixOf } from "../../src/evaluation/metrics/matrix.ts";
import { moments } from "../../src/evaluation/metrics/statistics.ts";
import { realAgainstReal } from "../../src/evaluation/real.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const D = 4;
const set = (count: number, stream: number, shift = 0) =>
  matrixOf(
    float32(
      [count, D],
      normals(3, stream, count * D).map((z) => z + shift),
    ),
  );

/**
 * The mean for two sets of n of N(0, 1)^D, to first order in 1 / n: |mu_1 - mu_2|^2 is 2 D / n, and |Sigma_1 - Sigma_2|^2 / 4, of entries with the
 * variance (1 + [i = j]) / n in each set, is D (D + 1) / 2n.
 */
const expected = (n: number): number => (2 * D) / n + (D * (D + 1)) / (2 * n);

test("images of the reference against its others, as many as there are samples", async () => {
  const fids: number[] = [];
  for (let seed = 0; seed < 6; seed++) {
    const report = await realAgainstReal(200, { features: set(400, seed) }, { backend, seed });
    expect(report).toMatchObject({
      counts: { samples: 200, reference: 200 },
      what: "200 images of the reference, against its others",
    });
    expect(report!.kid).toBeDefined();
    expect(report!.precision!.value).toBeGreaterThan(0.7);
    fids.push(report!.fid!.value);
  }
  const mean = fids.reduce((a, b) => a + b) / fids.length;
  // A single one deviates by about half of it.
  expect(Math.abs(mean / expected(200) - 1)).toBeLessThan(0.5);
});

test("images beside the reference where there are enough: what is other in them shows", async () => {
  const statistics = await moments([set(5000, 1)], { backend });
  const reference = { statistics, features: set(300, 2) };
  const shifted = await realAgainstReal(100, { ...reference, real: { features: set(150, 3, 1) } }, { backend });
  expect(shifted!.what).toBe("100 held-out images");
  expect(shifted!.fid!.value).toBeGreaterThan(D * 0.7);
  expect(shifted!.fid!.value).toBeLessThan(D * 1.4);
  // Too few of them: those of the reference stand for them, against all.
  const own = await realAgainstReal(200, { ...reference, real: { features: set(150, 3, 1) } }, { backend });
  expect(own).toMatchObject({ counts: { samples: 200, reference: 5000, referenceFeatures: 100 } });
  expect(own!.fid!.value).toBeLessThan(0.3);
});

test("nothing where there are not enough", async () => {
  expect(await realAgainstReal(60, { features: set(80, 0) }, { backend })).toBeUndefined();
  expect(
    await realAgainstReal(5, { statistics: await moments([set(50, 1)], { backend }) }, { backend }),
  ).toBeUndefined();
});
