import { custom } from "../../setting.ts";
import { defineGuidance } from "../guidance.ts";

/** Noise levels sigma / alpha, above the first and up to the second. */
export type Interval = readonly [low: number, high: number];

/** Is there guidance at this noise level sigma / alpha? Section 3, Kynkäänniemi et al. 2024: sigma in (sigma_lo, sigma_hi]. */
export const inInterval = ([low, high]: Interval, ratio: number): boolean => low < ratio && ratio <= high;

const numbersIn = (text: string): number[] =>
  text.split(":").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));

export const intervalGuidance = defineGuidance({
  settings: {
    /** Noise levels sigma / alpha at which there is guidance of any kind; elsewhere it is not computed. Everywhere by default. */
    guidanceInterval: custom<Interval, { cost: "value"; otherwise: string; formerly: string }>(
      {
        help: "noise levels sigma / alpha with guidance; outside of them it costs nothing",
        placeholder: "low:high",
        expected: "two finite noise levels, as 0.2:5, 0 <= low < high,",
        accepts: (value): value is Interval =>
          Array.isArray(value) && value.length === 2 && value[0] >= 0 && value[0] < value[1] && value[1] < Infinity,
        read: numbersIn,
      },
      { cost: "value", otherwise: "all", formerly: "interval" },
    ),
  },
  factor: ({ guidanceInterval: interval }, { ratio }) => (!interval || inInterval(interval, ratio) ? 1 : 0),
  changes: ({ guidanceInterval }) => (guidanceInterval ? ["guidanceInterval"] : []),
  describe: ({ guidanceInterval: interval }, { guided }) =>
    guided && interval ? `in noise ${interval[0]} to ${interval[1]}` : undefined,
});
