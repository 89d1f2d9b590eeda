import type { GuidanceDefinition } from "../../guidance/guidance.ts";
import { type Guidance, guidances } from "../../guidance/guidances.ts";
import { type Setting, usualValue } from "../../setting.ts";
import { type Option, ofSetting, text, type Values } from "../terminal/option.ts";

type OwnOptions = { readonly [K in keyof Guidance]-?: Option<Guidance[K]> };

const optionOf = (setting: Setting) =>
  ofSetting(setting, { otherwise: `the model's, else ${setting.otherwise ?? usualValue(setting)}` });

const optionsOf = (among: readonly GuidanceDefinition[]): OwnOptions =>
  Object.fromEntries(
    among.flatMap(({ settings }) => Object.entries(settings).map(([name, setting]) => [name, optionOf(setting)])),
  ) as OwnOptions;

/** How samples are guided. */
export const guidanceOptions = {
  ...optionsOf(guidances),
  weakModel: text(
    "folder",
    "a worse version of the model, smaller or trained for less long, to lead away from (autoguidance)",
  ),
};
export type GuidanceValues = Values<typeof guidanceOptions>;

/** Those of guidance that one model gives, and that is the same at every step. */
export const steadyOptions: Partial<OwnOptions> = optionsOf(
  guidances.filter(({ network, factor }) => network !== "weakModel" && factor === undefined),
);
