import * as z from "zod";
import { encoderUnet } from "./adm/classifier.ts";
import { type ClassifierConfig, type Pool, pools } from "./adm/config.ts";
import { bySize, classifierPreset } from "./adm/presets.ts";
import { firstKernel, refitBackbone } from "./adm/refit.ts";
import { backboneFields } from "./adm/schema.ts";
import type { ClassifierFamily, ConfigSchema } from "./family.ts";

/** Where the layer is that gives the logits. */
const lastLayers: Readonly<Record<Pool, string>> = {
  attention: "out.2.c_proj",
  adaptive: "out.3",
  spatial: "out.2",
  spatial_v2: "out.3",
};

const schema: ConfigSchema<ClassifierConfig> = z.strictObject({
  ...backboneFields,
  pool: z.enum(pools).optional(),
});

/** The ADM classifier of noised images (Dhariwal & Nichol 2021, section 4), see `encoderUnet`. */
export const admClassifier = {
  role: "classifier",
  kind: "adm-classifier",
  schema,
  signature: ({ inChannels, imageSize, imageWidth = imageSize, outChannels }) => ({
    imageShape: [inChannels, imageSize, imageWidth],
    classes: outChannels,
  }),
  build: encoderUnet,
  presets: bySize((name) => (data) => classifierPreset(name, data)),
  refit: (config, { imageShape, classes }) => ({ ...refitBackbone(config, imageShape), outChannels: classes }),
  dataParameters: ({ pool = "attention" }) => ({
    image: [firstKernel],
    output: [],
    classes: ["weight", "bias"].map((name) => `${lastLayers[pool]}.${name}`),
  }),
} satisfies ClassifierFamily<ClassifierConfig>;
