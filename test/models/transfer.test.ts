// Weights that another network begins with: what the new one computes, in float64, against what the old one computes.
import { describe, expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint/model.ts";
import { UsageError } from "../../src/errors.ts";
import type { UNetConfig } from "../../src/models/adm/config.ts";
import { admClassifier } from "../../src/models/adm-classifier.ts";
import { admUnet } from "../../src/models/adm-unet.ts";
import { classifierNetwork, denoiserNetwork, networkOf } from "../../src/models/families.ts";
import type { ImageShape, NetworkRole } from "../../src/models/family.ts";
import { pixelTransformerFamily } from "../../src/models/pixel-transformer.ts";
import { type NetworkOfClasses, planTransfer } from "../../src/models/transfer.ts";
import { float32, int32, type NDArray, sizeOf } from "../../src/ndarray.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { normals } from "../../src/random.ts";
import { compute, expectClose } from "../support/compute.ts";
import { randomWeights, tinyModel } from "../support/tiny-model.ts";

const { denoiser, classifier, classes } = tinyModel();
const kinds = { denoiser: denoiser.record, classifier: classifier.record };

/** The tiny networks for images of a shape. */
function tiny(
  role: NetworkRole,
  imageShape: ImageShape,
  { names = classes, learnedVariance = true }: { names?: readonly string[]; learnedVariance?: boolean } = {},
): NetworkOfClasses {
  const data = { imageShape, classes: names.length, learnedVariance, nullLabel: true };
  const { kind } = kinds[role];
  const config =
    role === "denoiser"
      ? admUnet.refit(denoiser.record.config, data)
      : admClassifier.refit(classifier.record.config, data);
  return { network: { kind, config }, classes: names };
}

/** What a network of `to` begins with where `from` has random weights; those are given too. */
function begun(role: NetworkRole, from: NetworkOfClasses, to: NetworkOfClasses) {
  const old = randomWeights(role, from.network, 5);
  const plan = planTransfer(role, from, to);
  return { old, plan, weights: plan.weights(old, initialize(networkOf(role, to.network), 9)) };
}

const pictures = (...shape: number[]): NDArray<"float32"> => float32(shape, normals(3, shape[1]!, sizeOf(shape)));
const t = float32([2], [3, 17]);
const y = int32([2], [1, 3]);
/** What a denoiser says of images at two timesteps, told class 1 and no class. */
const denoised = (of: NetworkOfClasses, parameters: Weights, x: NDArray<"float32">) =>
  compute({ parameters, x, t, y }, (given) => ({
    out: denoiserNetwork(of.network)(given.parameters, given.x, given.t, { label: given.y }),
  })).then(({ out }) => out!);
const classified = (of: NetworkOfClasses, parameters: Weights, x: NDArray<"float32">) =>
  compute({ parameters, x, t }, (given) => ({
    out: classifierNetwork(of.network)(given.parameters, given.x, given.t),
  })).then(({ out }) => out!);

/** [N, G, h, w] as [N, G x 3, h, w], each channel three times. */
const tripled = ({ shape, data }: { readonly shape: readonly number[]; readonly data: ArrayLike<number> }) => {
  const [n, groups, ...rest] = shape as [number, number, ...number[]];
  const area = sizeOf(rest);
  const to = [n, 3 * groups, ...rest];
  return float32(
    to,
    Float32Array.from({ length: sizeOf(to) }, (_, i) => data[Math.floor(i / (3 * area)) * area + (i % area)]!),
  );
};

/** [N, 3 G, h, w] as [N, G, h, w]: the mean of each three channels. */
const averaged = ({ shape, data }: { readonly shape: readonly number[]; readonly data: ArrayLike<number> }) => {
  const [n, channels, ...rest] = shape as [number, number, ...number[]];
  const area = sizeOf(rest);
  const to = [n, channels / 3, ...rest];
  const at = (i: number, c: number): number => data[(Math.floor(i / area) * 3 + c) * area + (i % area)]!;
  return { shape: to, data: Float64Array.from({ length: sizeOf(to) }, (_, i) => (at(i, 0) + at(i, 1) + at(i, 2)) / 3) };
};

describe("grey and colour", () => {
  const [grey, colour] = [tiny("denoiser", [1, 8, 8]), tiny("denoiser", [3, 8, 8])];

  test("a colour denoiser says of a grey image, in each channel, what the grey one says", async () => {
    const { old, plan, weights } = begun("denoiser", grey, colour);
    const x = pictures(2, 1, 8, 8);
    const before = await denoised(grey, old, x);
    expect(Math.max(...Array.from(before.data, Math.abs))).toBeGreaterThan(0.1);
    expectClose(await denoised(colour, weights, tripled(x)), tripled(before), 1e-5, "colour");
    expect(plan).toMatchObject({ channels: [1, 3], newClasses: [], newTensors: [], sameClasses: classes });
    expect(plan.taken).toBe(plan.parameters);
  });

  test("a grey denoiser says of an image the mean of what the colour one says of it in three equal channels", async () => {
    const { old, weights } = begun("denoiser", colour, grey);
    const x = pictures(2, 1, 8, 8);
    expectClose(await denoised(grey, weights, x), averaged(await denoised(colour, old, tripled(x))), 1e-5, "grey");
  });

  test("so it is with classifiers", async () => {
    const [grey, colour] = [tiny("classifier", [1, 8, 8]), tiny("classifier", [3, 8, 8])];
    const x = pictures(2, 1, 8, 8);
    const up = begun("classifier", grey, colour);
    expectClose(await classified(colour, up.weights, tripled(x)), await classified(grey, up.old, x), 1e-5, "colour");
    const down = begun("classifier", colour, grey);
    expectClose(await classified(grey, down.weights, x), await classified(colour, down.old, tripled(x)), 1e-5, "grey");
  });

  test("three channels and two have nothing to do with each other", () => {
    const { plan } = begun("denoiser", colour, tiny("denoiser", [2, 8, 8]));
    expect(plan.newTensors).toEqual(["input_blocks.0.0.weight", "out.2.weight", "out.2.bias"]);
  });
});

describe("networks on patches", () => {
  const data = { classes: 3, learnedVariance: true, nullLabel: true } as const;
  const unet: UNetConfig = { ...denoiser.record.config, patchSize: 2 };
  const transformer = {
    imageSize: 8,
    inChannels: 1,
    outChannels: 2,
    patchSize: 2,
    hiddenSize: 16,
    depth: 1,
    numHeads: 2,
  };
  const fitted = (kind: string, channels: number): NetworkOfClasses => {
    const shape = { ...data, imageShape: [channels, 8, 8] } as const;
    const config = kind === "adm-unet" ? admUnet.refit(unet, shape) : pixelTransformerFamily.refit(transformer, shape);
    return { network: { kind, config }, classes };
  };

  test.each(["adm-unet", "pixel-transformer"])(
    "%s: a colour network says of a grey image what the grey one says",
    async (kind) => {
      const [grey, colour] = [fitted(kind, 1), fitted(kind, 3)];
      const { old, plan, weights } = begun("denoiser", grey, colour);
      const x = pictures(2, 1, 8, 8);
      expectClose(await denoised(colour, weights, tripled(x)), tripled(await denoised(grey, old, x)), 1e-5, kind);
      expect(plan.taken).toBe(plan.parameters);
      const back = begun("denoiser", colour, grey);
      expectClose(
        await denoised(grey, back.weights, x),
        averaged(await denoised(colour, back.old, tripled(x))),
        1e-5,
        kind,
      );
    },
  );

  test("sides are multiples of the patch, and of all halvings of patches", () => {
    const of = (side: number) => ({ ...data, imageShape: [1, side, side] }) as const;
    expect(() => admUnet.refit(unet, of(6))).toThrow(/multiples of 4, but these are 6x6/);
    expect(() => pixelTransformerFamily.refit(transformer, of(7))).toThrow(/multiples of 2, but these are 7x7/);
    expect(pixelTransformerFamily.refit(transformer, of(6))).toMatchObject({ imageSize: 6, numClasses: 3 });
  });
});

describe("classes", () => {
  const from = tiny("denoiser", [1, 8, 8]);
  const to = tiny("denoiser", [1, 8, 8], { names: ["moon", "star", "circle", "sun"] });

  test("of the same name keep their embedding, and so does no class; the others begin anew", () => {
    const { old, plan, weights } = begun("denoiser", from, to);
    const row = (of: Weights, index: number) => {
      const { shape, data } = of["label_emb.weight"]!;
      return data.slice(index * shape[1]!, (index + 1) * shape[1]!);
    };
    const fresh = initialize(networkOf("denoiser", to.network), 9);
    // circle, square, star, no class -> moon, star, circle, sun, no class
    expect(row(weights, 1)).toEqual(row(old, 2));
    expect(row(weights, 2)).toEqual(row(old, 0));
    expect(row(weights, 4)).toEqual(row(old, 3));
    expect(row(weights, 0)).toEqual(row(fresh, 0));
    expect(row(weights, 3)).toEqual(row(fresh, 3));
    expect(plan).toMatchObject({ sameClasses: ["star", "circle"], newClasses: ["moon", "sun"], newTensors: [] });
    expect(plan.parameters - plan.taken).toBe(2 * 32);
  });

  test("as many of other names begin anew, though the shapes agree", () => {
    const names = ["a", "b", "c"];
    const { old, plan, weights } = begun("denoiser", from, tiny("denoiser", [1, 8, 8], { names }));
    expect(weights["label_emb.weight"]!.shape).toEqual(old["label_emb.weight"]!.shape);
    expect(weights["label_emb.weight"]!.data.slice(0, 96)).not.toEqual(old["label_emb.weight"]!.data.slice(0, 96));
    expect(plan.newClasses).toEqual(names);
  });

  test.each(["attention", "adaptive", "spatial", "spatial_v2"] as const)(
    "of a classifier that pools by %s: logits by name",
    async (pool) => {
      const side = (names: readonly string[]): NetworkOfClasses => {
        const config = { ...classifier.record.config, pool, outChannels: names.length };
        return { network: { kind: "adm-classifier", config }, classes: names };
      };
      const [before, after] = [side(classes), side(["star", "new", "circle"])];
      const { old, plan, weights } = begun("classifier", before, after);
      expect(plan).toMatchObject({ newTensors: [], newClasses: ["new"] });
      const x = pictures(2, 1, 8, 8);
      const [was, is] = [await classified(before, old, x), await classified(after, weights, x)];
      for (const n of [0, 1]) {
        expect(is.data[3 * n]).toBeCloseTo(was.data[3 * n + 2]!, 5);
        expect(is.data[3 * n + 2]).toBeCloseTo(was.data[3 * n]!, 5);
      }
    },
  );
});

test("other sizes change nothing for convolutions; what counts pixels begins anew", () => {
  const { old, plan, weights } = begun("denoiser", tiny("denoiser", [1, 8, 8]), tiny("denoiser", [1, 12, 16]));
  expect(weights).toEqual(old);
  expect(plan.taken).toBe(plan.parameters);
  const classifier = begun("classifier", tiny("classifier", [1, 8, 8]), tiny("classifier", [1, 12, 16]));
  expect(classifier.plan.newTensors).toEqual(["out.2.positional_embedding"]);
});

test("sizes that the network cannot halve are refused", () => {
  expect(() => tiny("denoiser", [1, 7, 8])).toThrow(UsageError);
  expect(() => tiny("denoiser", [1, 7, 8])).toThrow(/takes images whose sides are multiples of 2, but these are 8x7/);
});

test("learned variances on one side alone: the prediction is taken over", async () => {
  const [learned, fixed] = [tiny("denoiser", [3, 8, 8]), tiny("denoiser", [3, 8, 8], { learnedVariance: false })];
  const x = pictures(2, 3, 8, 8);
  for (const [from, to] of [
    [learned, fixed],
    [fixed, learned],
  ] as const) {
    const { old, plan, weights } = begun("denoiser", from, to);
    const [was, is] = [await denoised(from, old, x), await denoised(to, weights, x)];
    const size = (of: typeof was): number => sizeOf(of.shape) / 2;
    for (const n of [0, 1])
      for (let i = 0; i < 3 * 64; i++) expect(is.data[n * size(is) + i]).toBeCloseTo(was.data[n * size(was) + i]!, 4);
    expect(plan.newTensors).toEqual([]);
  }
});

test("of another preset what agrees in name and shape is taken, the rest begins anew", () => {
  const from = tiny("denoiser", [1, 8, 8]);
  const config = { ...denoiser.record.config, channelMult: [1, 3] };
  const { old, plan, weights } = begun("denoiser", from, { network: { kind: "adm-unet", config }, classes });
  const fresh = initialize(networkOf("denoiser", { kind: "adm-unet", config }), 9);
  expect(weights["time_embed.0.weight"]).toEqual(old["time_embed.0.weight"]);
  expect(weights["middle_block.0.in_layers.2.weight"]).toEqual(fresh["middle_block.0.in_layers.2.weight"]);
  expect(plan.newTensors).toContain("middle_block.0.in_layers.2.weight");
  expect(plan.taken).toBeLessThan(plan.parameters);
});
