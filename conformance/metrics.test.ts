import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { inceptionScore } from "../src/evaluation/metrics/class-scores.ts";
import { frechetDistance } from "../src/evaluation/metrics/frechet.ts";
import type { Matrix } from "../src/evaluation/metrics/matrix.ts";
import { precisionRecall } from "../src/evaluation/metrics/precision-recall.ts";
import { moments } from "../src/evaluation/metrics/statistics.ts";
import type { NumpyArray } from "../src/formats/npy.ts";
import { readNpz } from "../src/formats/npz.ts";
import { openBackend } from "../src/runtime/node.ts";

const file = (name: string): Buffer => readFileSync(new URL(`data/${name}`, import.meta.url));
const expected = JSON.parse(file("metrics.json").toString()) as {
  fid: number;
  precision_k3: number;
  recall_k3: number;
  inception_score_one_split: number;
  splits_of_200: number[];
};
const arrays = readNpz(file("metrics.npz"));
const rowsOf = ({ shape: [rows, columns], data }: NumpyArray): Matrix => ({
  rows: rows!,
  columns: columns!,
  data: data as Float64Array,
});
const [reference, samples, probabilities] = [
  rowsOf(arrays.reference_features!),
  rowsOf(arrays.sample_features!),
  rowsOf(arrays.sample_probabilities!),
];

describe("metrics of given features", async () => {
  const backend = await openBackend();
  afterAll(() => backend[Symbol.asyncDispose]());

  test("Frechet distance", async () => {
    const [a, b] = [await moments([reference], { backend }), await moments([samples], { backend })];
    // The features were rounded to float32 for this repository, which moves the distance by 9e-10 of itself.
    expect(Math.abs(frechetDistance(a, b) / expected.fid - 1)).toBeLessThan(3e-9);
    expect(Math.abs(frechetDistance(b, a) / expected.fid - 1)).toBeLessThan(3e-9);
  });

  test("precision and recall, k = 3", async () => {
    const { precision, recall } = await precisionRecall(reference, samples, { backend });
    expect(precision.value).toBeCloseTo(expected.precision_k3, 12);
    expect(recall.value).toBeCloseTo(expected.recall_k3, 12);
  });

  test("inception score, of all and of splits", () => {
    expect(inceptionScore(probabilities).value).toBeCloseTo(expected.inception_score_one_split, 12);
    const { columns, data } = probabilities;
    const splits = [0, 1, 2].map((i) => ({
      rows: 200,
      columns,
      data: data.subarray(i * 200 * columns, (i + 1) * 200 * columns),
    }));
    for (const [i, split] of splits.entries())
      expect(inceptionScore(split).value).toBeCloseTo(expected.splits_of_200[i]!, 12);
  });
});
