import { describe, expect, test } from "vitest";
import { ModelError, UsageError } from "../../src/errors.ts";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import type { ClassifierConfig, UNetConfig } from "../../src/models/adm/config.ts";
import { superResUnet } from "../../src/models/adm/super-resolution.ts";
import { unet } from "../../src/models/adm/unet.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { type Module, type Network, parameterShapes } from "../../src/nn/module.ts";
import { depthToSpace, spaceToDepth } from "../../src/nn/space-to-depth.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { f32, i32, input } from "../../src/tensor/trace.ts";
import { type Numbers, numbers, someParameters } from "../nn/numbers.ts";
import { evaluate } from "../support/interpreter.ts";

const config: UNetConfig = {
  imageSize: 4,
  inChannels: 1,
  outChannels: 2,
  modelChannels: 4,
  numResBlocks: 1,
  attentionResolutions: [2],
  channelMult: [1, 1.5],
  normGroups: 2,
  numClasses: 3,
  nullLabel: true,
};

const x = input("x", f32(2, 1, 4, 4));
const t = input("t", f32(2));
const y = input("y", i32(2));
const lowRes = input("lowRes", f32(2, 1, 2, 2));
const inputs = {
  x: numbers([2, 1, 4, 4]),
  t: { shape: [2], data: [3, 700] },
  y: { shape: [2], data: [0, 3] },
  lowRes: numbers([2, 1, 2, 2], 5),
};

/** What a network computes from `values`, in float64. */
function outputOf<I extends readonly unknown[]>(
  network: Module<I>,
  apply: (bound: (...inputs: I) => Tensor) => Tensor,
  values: Record<string, Numbers> = someParameters(network),
  given: Record<string, Numbers> = inputs,
): Numbers {
  const leaves = Object.entries(values).map(([key, { shape }]) => [key, input(key, f32(...shape))]);
  const out = apply(network.withParameters(Object.fromEntries(leaves)));
  return evaluate({ out }, { ...values, ...inputs, ...given }).out;
}

const tensorsOf = (network: Network): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(parameterShapes(network)).map(([key, shape]) => [key, input(key, f32(...shape))]));

describe("the UNet", () => {
  test.each<Partial<UNetConfig>>([
    {},
    { useScaleShiftNorm: false },
    { resblockUpdown: false },
    { resblockUpdown: false, convResample: false },
    { useNewAttentionOrder: false, numHeads: 2, numHeadsUpsample: 1 },
    { numHeadChannels: 2 },
    { channelMult: [0.5, 1, 1], attentionResolutions: [] },
  ])("keeps the image's size: %o", (options) => {
    const network = unet({ ...config, ...options });
    const out = outputOf(network, (bound) => bound(x, t, { label: y }));
    expect(out.shape).toEqual([2, 2, 4, 4]);
    expect(Array.from(out.data).every(Number.isFinite)).toBe(true);
  });

  test("starts by predicting zero", () => {
    const { data } = outputOf(unet(config), (bound) => bound(x, t, { label: y }), initialize(unet(config), 7));
    expect(Array.from(data).every((value) => value === 0)).toBe(true);
  });

  test("rows of the label embedding: the classes, then the null label", () => {
    const rows = (options: Partial<UNetConfig>) => parameterShapes(unet({ ...config, ...options }))["label_emb.weight"];
    expect(rows({})).toEqual([4, 16]);
    expect(rows({ nullLabel: false })).toEqual([3, 16]);
    expect(rows({ numClasses: undefined })).toBeUndefined();
  });

  test("its output depends on image, timestep and label", () => {
    const network = unet(config);
    const base = outputOf(network, (bound) => bound(x, t, { label: y })).data;
    const changed = [
      outputOf(network, (bound) => bound(x.mul(1.1), t, { label: y })),
      outputOf(network, (bound) => bound(x, t.add(1), { label: y })),
      outputOf(network, (bound) => bound(x, t, { label: y.mul(0) })),
    ];
    for (const { data } of changed) expect(data).not.toEqual(base);
  });

  test("told how an image was changed, it gives another output; told of none, that of an image as it is", () => {
    const network = unet({ ...config, augmentSize: 3 });
    const told = (...numbers: number[]) => {
      const augment = input("augment", f32(2, 3));
      const data = [...numbers, ...numbers];
      return outputOf(network, (bound) => bound(x, t, { label: y, augment }), undefined, {
        augment: { shape: [2, 3], data },
      }).data;
    };
    const asIs = outputOf(network, (bound) => bound(x, t, { label: y })).data;
    expect(told(0, 0, 0)).toEqual(asIs);
    expect(told(0, 1, 0)).not.toEqual(asIs);
    const start = initialize(network, 7)["augment_emb.weight"]!;
    expect([start.shape, start.data.every((value) => value === 0)]).toEqual([[16, 3], true]);
  });

  test("says whether it wants labels", () => {
    const without = unet({ ...config, numClasses: undefined });
    expect(() => unet(config)(tensorsOf(unet(config)), x, t)).toThrow(UsageError);
    expect(() => without(tensorsOf(without), x, t, { label: y })).toThrow(UsageError);
  });

  test("names the layer that an input does not fit, and sizes that cannot be halved", () => {
    const network = unet(config);
    const at = (...shape: number[]) => network(tensorsOf(network), input("x", f32(...shape)), t, { label: y });
    expect(() => at(2, 3, 4, 4)).toThrow(/conv2d: .*expects 1 input channels.*; at input_blocks\.0\.0$/);
    expect(() => at(2, 1, 5, 4)).toThrow("divisible by 2, for they are halved 1 times, but is [2, 1, 5, 4]");
    const key = "input_blocks.1.0.in_layers.2.weight";
    expect(() => network({ ...tensorsOf(network), [key]: x }, x, t, { label: y })).toThrow(
      /; at input_blocks\.1\.0\.in_layers\.2$/,
    );
  });

  test("refuses heads that do not divide its channels", () => {
    expect(() => unet({ ...config, numHeads: 4 })).toThrow(ModelError);
  });
});

describe("patches", () => {
  const whole: UNetConfig = { ...config, patchSize: 2, imageSize: 8, attentionResolutions: [4] };
  const onPatches: UNetConfig = { ...config, inChannels: 4, outChannels: 8, imageSize: 4, attentionResolutions: [2] };
  const large = input("large", f32(2, 1, 8, 8));

  test("are taken for pixels: the network is that of images cut by hand, put together again", () => {
    expect(parameterShapes(unet(whole))).toEqual(parameterShapes(unet(onPatches)));
    const given = { large: numbers([2, 1, 8, 8]) };
    const own = outputOf(unet(whole), (bound) => bound(large, t, { label: y }), undefined, given);
    const byHand = outputOf(
      unet(onPatches),
      (bound) => depthToSpace(bound(spaceToDepth(large, 2), t, { label: y }), 2),
      undefined,
      given,
    );
    expect(own.shape).toEqual([2, 2, 8, 8]);
    expect(own.data).toEqual(byHand.data);
  });

  test("are the classifier's too", () => {
    const { numClasses: _, nullLabel: __, ...backbone } = whole;
    const classifier = encoderUnet({ ...backbone, outChannels: 5, numHeadChannels: 2 });
    const shapes = parameterShapes(classifier);
    expect(shapes["input_blocks.0.0.weight"]).toEqual([4, 4, 3, 3]);
    expect(shapes["out.2.positional_embedding"]).toEqual([6, 2 ** 2 + 1]);
    const out = outputOf(classifier, (bound) => bound(large, t), undefined, { large: numbers([2, 1, 8, 8]) });
    expect(out.shape).toEqual([2, 5]);
  });

  test("hold the small image of an upsampler beside the large one", () => {
    const network = superResUnet(whole);
    expect(parameterShapes(network)["input_blocks.0.0.weight"]).toEqual([4, 8, 3, 3]);
    const out = outputOf(network, (bound) => bound(large, t, { lowRes, label: y }), undefined, {
      large: numbers([2, 1, 8, 8]),
    });
    expect(out.shape).toEqual([2, 2, 8, 8]);
  });

  test("of images that cannot be cut are refused", () => {
    const network = unet(whole);
    expect(() => network(tensorsOf(network), input("x", f32(2, 1, 6, 8)), t, { label: y })).toThrow(
      "divisible by 4, for they are cut into patches of 2x2 and halved 1 times, but is [2, 1, 6, 8]",
    );
  });
});

test("the upsampler sees the small image in further input channels", () => {
  const network = superResUnet(config);
  expect(parameterShapes(network)["input_blocks.0.0.weight"]).toEqual([4, 2, 3, 3]);
  const out = outputOf(network, (bound) => bound(x, t, { lowRes, label: y }));
  expect(out.shape).toEqual([2, 2, 4, 4]);
  expect(() => network(tensorsOf(network), x, t, { label: y })).toThrow(UsageError);
  expect(outputOf(network, (bound) => bound(x, t, { lowRes: lowRes.mul(2), label: y })).data).not.toEqual(out.data);
});

describe("the classifier", () => {
  const { numClasses: _, nullLabel: __, ...backbone } = config;
  const classifier: ClassifierConfig = { ...backbone, outChannels: 5, numHeadChannels: 2 };

  test.each(["adaptive", "attention", "spatial", "spatial_v2"] as const)(
    "pool %s gives logits [N, classes]",
    (pool) => {
      const network = encoderUnet({ ...classifier, pool });
      const out = outputOf(network, (bound) => bound(x, t));
      expect(out.shape).toEqual([2, 5]);
      expect(Array.from(out.data).every(Number.isFinite)).toBe(true);
    },
  );

  test("takes images whose sizes cannot be halved: the last row and column are left out", () => {
    const network = encoderUnet({ ...classifier, imageSize: 7 });
    expect(parameterShapes(network)["out.2.positional_embedding"]).toEqual([6, 3 ** 2 + 1]);
    expect(network(tensorsOf(network), input("x", f32(2, 1, 7, 7)), t).shape).toEqual([2, 5]);
  });
});
