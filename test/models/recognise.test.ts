import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { BackboneConfig, NetworkConfig } from "../../src/models/adm/config.ts";
import { configFromGuidedDiffusion, type GuidedDiffusionConfig } from "../../src/models/adm/guided-diffusion.ts";
import { networkOf } from "../../src/models/adm/network.ts";
import { publishedNetworks } from "../../src/models/adm/published.ts";
import { recognise } from "../../src/models/adm/recognise.ts";
import { parameterShapes } from "../../src/nn/module.ts";

const references: Record<string, GuidedDiffusionConfig> = JSON.parse(
  readFileSync(new URL("../../conformance/data/networks.json", import.meta.url), "utf8"),
);
const untoldOf = ({ imageSize, numHeads, numHeadChannels, useNewAttentionOrder, numResBlocks }: BackboneConfig) => ({
  imageSize,
  numHeads,
  numHeadChannels,
  useNewAttentionOrder,
  numResBlocks,
});

/** With the default written out, and without attention at resolutions that the network does not have, which means nothing. */
const meant = ({ kind, config }: NetworkConfig) => {
  const factors = config.channelMult.map((_, level) => 2 ** level);
  return {
    kind,
    config: {
      convResample: true,
      ...config,
      attentionResolutions: factors.filter((f) => config.attentionResolutions.includes(f)),
    },
  };
};
const shapesOf = (network: NetworkConfig) => parameterShapes(networkOf(network));

const base = {
  imageSize: 16,
  inChannels: 1,
  outChannels: 2,
  modelChannels: 32,
  numHeads: 1,
  useScaleShiftNorm: true,
  useNewAttentionOrder: false,
};
const variants: NetworkConfig[] = [1, 2].flatMap((numResBlocks) =>
  [[1], [0.5, 1, 1.5], [1, 1]].flatMap((channelMult) =>
    [[], [2]].flatMap((attentionResolutions) =>
      [true, false].flatMap((convResample): NetworkConfig[] => {
        const shape = { ...base, numResBlocks, channelMult, attentionResolutions, convResample };
        const single = channelMult.length === 1;
        const down = { ...shape, convResample: single || convResample, resblockUpdown: !single && convResample };
        return [
          { kind: "adm-unet", config: { ...down, numClasses: 3 } },
          {
            kind: "adm-super-resolution",
            config: { ...down, lowResolution: 4, resblockUpdown: false, useScaleShiftNorm: false },
          },
          { kind: "adm-classifier", config: { ...down, outChannels: 7, pool: convResample ? "spatial" : "attention" } },
        ];
      }),
    ),
  ),
);

describe("recognition of networks from their tensors' shapes", () => {
  test.each([
    ...Object.entries(references).map(([name, reference]) => [name, configFromGuidedDiffusion(reference)] as const),
    ...Object.entries<NetworkConfig>(publishedNetworks),
  ])("%s", (_, network) => {
    expect(meant(recognise(shapesOf(network), untoldOf(network.config)))).toEqual(meant(network));
  });

  test(`${variants.length} others`, () => {
    for (const network of variants)
      expect(meant(recognise(shapesOf(network), untoldOf(network.config)))).toEqual(meant(network));
  });

  test("needs the number of residual blocks of no denoiser", () => {
    for (const network of variants.filter(({ kind }) => kind !== "adm-classifier")) {
      const found = recognise(shapesOf(network), { ...untoldOf(network.config), numResBlocks: undefined });
      expect(found.config.numResBlocks).toBe(network.config.numResBlocks);
    }
  });
});

describe("tensors that don't fit", () => {
  const network = configFromGuidedDiffusion(references.unet_adm!);
  const shapes = shapesOf(network);
  const untold = untoldOf(network.config);
  test.each([
    ["another shape", { ...shapes, "out.2.bias": [5] }, 'tensor "out.2.bias": expected shape [6] but found [5]'],
    ["one too many", { ...shapes, "out.7.bias": [5] }, 'tensor "out.7.bias" of shape [5] belongs to no part'],
    [
      "a missing one",
      Object.fromEntries(Object.entries(shapes).filter(([name]) => name !== "middle_block.1.qkv.bias")),
      'tensor "middle_block.1.qkv.bias" is missing; expected shape [192]',
    ],
    ["none of ours", { weight: [3, 4] }, 'tensor "time_embed.0.weight" is missing'],
  ])("%s", (_, found, message) => expect(() => recognise(found, untold)).toThrow(message));

  test("what the tensors leave open is asked for by the flag of the network's kind", () => {
    expect(() => recognise(shapes, { ...untold, imageSize: undefined })).toThrow("give --image_size,");
    const large = configFromGuidedDiffusion(references.unet_superres!);
    expect(() => recognise(shapesOf(large), { numHeads: 2 })).toThrow("give --large_size,");
    const open = variants.filter(({ kind }) => kind === "adm-classifier");
    const asked = open.flatMap((network) => {
      try {
        recognise(shapesOf(network), { ...untoldOf(network.config), numResBlocks: undefined });
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    });
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.every((message) => message.endsWith("give --classifier_depth"))).toBe(true);
  });
});
