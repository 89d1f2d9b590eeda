import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/errors.ts";
import { featuresNetwork } from "../../src/models/features/families.ts";
import { residualFeatures } from "../../src/models/features/residual.ts";
import { float32 } from "../../src/ndarray.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { normals } from "../../src/random.ts";
import { compute } from "../support/compute.ts";

describe("the residual network of features", () => {
  test.each([
    [[3, 32, 32], 4, [8, 8]],
    [[1, 28, 28], 5, [7, 7]],
    [[1, 7, 9], 16, [3, 4]],
    [[3, 64, 48], 1, [11, 8]],
  ] as const)("takes images %j", async (imageShape, _, [h, w]) => {
    const config = { ...residualFeatures.presets.small({ imageShape, classes: 3 }), widths: [8, 16] };
    const network = residualFeatures.build(config);
    const x = float32([2, ...imageShape], normals(1, 0, 2 * imageShape[0] * imageShape[1] * imageShape[2]));
    const params = initialize(network, 1);
    const seen = await compute({ x, params }, ({ x, params }) => ({ ...network(params, x) }));
    expect(seen.logits!.shape).toEqual([2, 3]);
    expect(seen.features!.shape).toEqual([2, 16]);
    expect(seen.spatial!.shape.slice(2)).toEqual([h, w]);
    expect(seen.spatial!.shape[1]! * h * w).toBeLessThanOrEqual(256);
    // Logits are a linear map of the features.
    const [weight, bias] = [params["head.weight"]!.data, params["head.bias"]!.data];
    const logit = Array.from(seen.features!.data)
      .slice(0, 16)
      .reduce((sum, value, i) => sum + value * weight[i]!, bias[0]!);
    expect(seen.logits!.data[0]).toBeCloseTo(logit, 4);
    // An image's features do not depend on the others.
    const one = float32([1, ...imageShape], x.data.slice(x.data.length / 2));
    const alone = await compute({ x: one, params }, ({ x, params }) => ({ ...network(params, x) }));
    for (const [i, value] of Array.from(alone.features!.data).entries())
      expect(seen.features!.data[16 + i]).toBeCloseTo(value, 5);
  });

  test("is of a config that is checked", () => {
    const config = residualFeatures.presets.small({ imageShape: [3, 32, 32], classes: 3 });
    expect(() => featuresNetwork({ kind: "residual-features", config: { ...config, patch: 0 } }, "it")).toThrow(
      /it\.config\.patch/,
    );
    expect(() => featuresNetwork({ kind: "other", config }, "it")).toThrow(ModelError);
  });
});
