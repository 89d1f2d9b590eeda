import { custom, type Setting } from "./setting.ts";

/** The colour behind transparent pixels: "white", "black" or "#rrggbb", in lower case. */
export type Background = string;

/** What stands behind transparent pixels where nothing else is said. */
export const usualBackground: Background = "white";

const NAMES: Readonly<Record<string, Background>> = { "#ffffff": "white", "#000000": "black" };

/** What a text means: names and digits in lower case, and a colour that has a name by its name. */
const named = (text: string): string => {
  const colour = text.trim().toLowerCase();
  return NAMES[colour] ?? colour;
};

/** The colour behind transparent pixels, as a setting. */
export const background: Setting<Background> = custom<Background, { cost: "none" }>(
  {
    help: "colour behind transparent pixels",
    placeholder: "white|black|#rrggbb",
    expected: "white, black or a colour as #rrggbb",
    accepts: (value): value is Background =>
      typeof value === "string" && /^(white|black|#[0-9a-f]{6})$/.test(value) && named(value) === value,
    read: named,
  },
  { cost: "none" },
);

/** Red, green and blue of a background, 0 ... 255. */
export const coloursOf = (colour: Background): readonly [red: number, green: number, blue: number] => {
  const hex = { white: "#ffffff", black: "#000000" }[colour] ?? colour;
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
};
