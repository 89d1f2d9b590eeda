import * as z from "zod";
import { encoderUnet } from "./adm/classifier.ts";
import { type ClassifierConfig, pools } from "./adm/config.ts";
import { classifierPreset } from "./adm/presets.ts";
import { backboneFields } from "./adm/schema.ts";
import type { ClassifierFamily, ConfigSchema } from "./family.ts";

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
  presets: {
    tiny: (data) => classifierPreset("tiny", data),
    small: (data) => classifierPreset("small", data),
    base: (data) => classifierPreset("base", data),
  },
} satisfies ClassifierFamily<ClassifierConfig>;
