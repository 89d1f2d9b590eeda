import * as z from "zod";
import { encoderUnet } from "./adm/classifier.ts";
import { type ClassifierConfig, pools } from "./adm/config.ts";
import { classifierPreset } from "./adm/presets.ts";
import { backboneFields } from "./adm/schema.ts";
import type { ClassifierFamily } from "./family.ts";

/** The ADM classifier of noised images (Dhariwal & Nichol 2021, section 4), see `encoderUnet`. */
export const admClassifier: ClassifierFamily<ClassifierConfig> = {
  role: "classifier",
  kind: "adm-classifier",
  schema: z.strictObject({ ...backboneFields, pool: z.enum(pools).optional() }),
  signature: ({ inChannels, imageSize, outChannels }) => ({
    imageShape: [inChannels, imageSize, imageSize],
    classes: outChannels,
  }),
  build: encoderUnet,
  presets: {
    tiny: (data) => classifierPreset("tiny", data),
    small: (data) => classifierPreset("small", data),
    base: (data) => classifierPreset("base", data),
  },
};
