import { type Guidance, guidanceSettings } from "../../guidance/guidances.ts";
import type { Settings } from "../../setting.ts";
import type { Values } from "../terminal/option.ts";
import { type Option, ofSetting, text } from "../terminal/option.ts";

type OwnOptions = { readonly [K in keyof Guidance]-?: Option<Guidance[K]> };

/** How samples are guided. */
export const guidanceOptions = {
  ...(Object.fromEntries(
    Object.entries(guidanceSettings as Settings).map(([name, setting]) => [name, ofSetting(setting)]),
  ) as OwnOptions),
  weakModel: text(
    "folder",
    "a worse version of the model, smaller or trained for less long, to lead away from (autoguidance)",
  ),
};
export type GuidanceValues = Values<typeof guidanceOptions>;
