import { describe, expect, test } from "vitest";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { UsageError } from "../../src/errors.ts";
import { thresholded } from "../../src/guidance/kinds/threshold.ts";
import { float32 } from "../../src/ndarray.ts";
import { compute } from "../support/compute.ts";

const chain = noiseSchedule(ddpmProcess());

/** Two images of five values: what the threshold makes of them. */
async function limited(images: readonly (readonly number[])[], percentile: number) {
  const x0 = float32([images.length, 1, 1, 5], images.flat());
  const xt = float32([images.length, 1, 1, 5], new Float32Array(5 * images.length).fill(0.5));
  const c = coefficients(
    chain,
    images.map(() => 400),
  );
  const result = await compute({ x0, xt, c }, ({ x0, xt, c }) => {
    const plain = () => ({ x0, eps: xt, variance: xt, logVariance: xt });
    const { x0: image, eps } = thresholded(plain, percentile)(xt, c, {});
    return { image, eps };
  });
  return {
    images: images.map((_, n) => Array.from(result.image!.data).slice(5 * n, 5 * n + 5)),
    eps: result.eps!.data,
  };
}

describe("dynamic thresholding", () => {
  test("limits an image to a percentile of its own absolute values, and scales it back to [-1, 1]", async () => {
    // Absolute values 0, 1, 2, 3, 4 of the first: the percentile of 75 is the fourth, 3; of 90 it is 3.6.
    const images = [
      [0, -1, 2, -3, 4],
      [0.1, -0.2, 0.3, -0.4, 0.5],
    ];
    const [first, second] = (await limited(images, 75)).images;
    for (const [i, value] of [0, -1 / 3, 2 / 3, -1, 1].entries()) expect(first![i]).toBeCloseTo(value, 6);
    // Nothing reaches out of [-1, 1], so nothing changes.
    for (const [i, value] of images[1]!.entries()) expect(second![i]).toBeCloseTo(value, 6);
    const interpolated = (await limited(images, 90)).images[0]!;
    for (const [i, value] of [0, -1 / 3.6, 2 / 3.6, -3 / 3.6, 1].entries())
      expect(interpolated[i]).toBeCloseTo(value, 6);
    const whole = (await limited(images, 100)).images[0]!;
    for (const [i, value] of [0, -0.25, 0.5, -0.75, 1].entries()) expect(whole[i]).toBeCloseTo(value, 6);
  });

  test("image and noise still make x_t", async () => {
    const { images, eps } = await limited([[0, -1, 2, -3, 4]], 80);
    const [alpha, sigma] = [chain.tables.alpha[400]!, chain.tables.sigma[400]!];
    for (const [i, value] of images[0]!.entries()) expect(alpha * value + sigma * eps[i]!).toBeCloseTo(0.5, 6);
  });

  test.each([0, -1, 100.1, Number.NaN])("percentile %s is refused", (percentile) => {
    expect(() => thresholded(() => ({}) as never, percentile)).toThrow(UsageError);
  });
});
