import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/errors.ts";
import { configFromGuidedDiffusion } from "../../src/models/adm/guided-diffusion.ts";

const required = {
  image_size: 64,
  in_channels: 3,
  model_channels: 32,
  out_channels: 6,
  num_res_blocks: 2,
  attention_resolutions: [4, 8],
};

describe("a configuration of the reference", () => {
  test("gets the reference's defaults, which differ from ours", () => {
    expect(configFromGuidedDiffusion({ kind: "UNetModel", config: required })).toEqual({
      kind: "adm-unet",
      config: {
        imageSize: 64,
        inChannels: 3,
        modelChannels: 32,
        outChannels: 6,
        numResBlocks: 2,
        attentionResolutions: [4, 8],
        channelMult: [1, 2, 4, 8],
        numHeads: 1,
        useScaleShiftNorm: false,
        resblockUpdown: false,
        convResample: true,
        useNewAttentionOrder: false,
      },
    });
    expect(configFromGuidedDiffusion({ kind: "EncoderUNetModel", config: required })).toMatchObject({
      kind: "adm-classifier",
      config: { pool: "adaptive" },
    });
  });

  test("-1 and null stand for arguments that are not given", () => {
    const { config } = configFromGuidedDiffusion({
      kind: "SuperResModel",
      config: { ...required, num_head_channels: -1, num_heads_upsample: -1, num_classes: null, dropout: 0.1, dims: 2 },
    });
    expect(Object.keys(config)).not.toContain("numClasses");
    expect(Object.keys(config)).not.toContain("numHeadChannels");
    expect(Object.keys(config)).not.toContain("numHeadsUpsample");
  });

  test("attention at 0, which the reference's integer division gives for 32 // 64, is none", () => {
    const config = { ...required, attention_resolutions: [0, 2, 0] };
    expect(configFromGuidedDiffusion({ kind: "UNetModel", config }).config.attentionResolutions).toEqual([2]);
  });

  test("keeps what is given", () => {
    const config = {
      ...required,
      channel_mult: [0.5, 1],
      num_classes: 7,
      num_heads: 2,
      num_head_channels: 16,
      num_heads_upsample: 4,
      use_scale_shift_norm: true,
      resblock_updown: true,
      conv_resample: false,
      use_new_attention_order: true,
    };
    expect(configFromGuidedDiffusion({ kind: "SuperResModel", config })).toMatchObject({
      kind: "adm-super-resolution",
      config: {
        channelMult: [0.5, 1],
        numClasses: 7,
        numHeads: 2,
        numHeadChannels: 16,
        numHeadsUpsample: 4,
        useScaleShiftNorm: true,
        resblockUpdown: true,
        convResample: false,
        useNewAttentionOrder: true,
      },
    });
  });

  test.each([
    ["Transformer", required, 'kind must be one of UNetModel, SuperResModel, EncoderUNetModel but is "Transformer"'],
    ["UNetModel", { ...required, depth: 3, colour: "red" }, 'UNetModel has no argument "depth", "colour"'],
    ["UNetModel", { ...required, pool: "attention" }, 'UNetModel has no argument "pool"'],
    ["EncoderUNetModel", { ...required, num_classes: 10 }, 'EncoderUNetModel has no argument "num_classes"'],
    [
      "EncoderUNetModel",
      { ...required, pool: "max" },
      '"pool" must be one of adaptive, attention, spatial, spatial_v2 but is "max"',
    ],
    ["UNetModel", { ...required, model_channels: "32" }, '"model_channels" must be a positive integer but is "32"'],
    [
      "UNetModel",
      { ...required, attention_resolutions: [4, 0.5] },
      '"attention_resolutions" must be a list of integers but is [4,0.5]',
    ],
    ["UNetModel", { ...required, channel_mult: [] }, '"channel_mult" must be a list of positive numbers, not empty'],
    ["UNetModel", { ...required, image_size: undefined }, '"image_size" (a positive integer) is missing'],
    ["UNetModel", { ...required, dims: 3 }, '"dims" must be 2 (images) but is 3'],
  ])("%s refuses what it does not know: %o", (kind, config, message) => {
    expect(() => configFromGuidedDiffusion({ kind, config })).toThrow(ModelError);
    expect(() => configFromGuidedDiffusion({ kind, config })).toThrow(message);
  });
});
