import { type NoiseRange, noiseRange } from "../diffusion/noise-level.ts";
import { type NoiseSchedule, noiseSchedule, scheduleOfLevels } from "../diffusion/noise-schedule.ts";
import { isContinuous, type ProcessConfig } from "../diffusion/process-config.ts";
import { UsageError } from "../errors.ts";
import { choice, custom } from "../setting.ts";

/**
 * How often and where along the chain a sampler steps. A number: so many, evenly, each at the start of its part of the chain, so that
 * the first one is a part's length below T, where the image is not yet a division by almost nothing; but each at the end of its part
 * where the process is made to start from pure noise: zero terminal SNR, flow, exploding noise. A text: as `spaceTimesteps`
 * reads it, "250" with both ends of the chain, "10,10,20" or "ddim25".
 */
export type Steps = number | string;

/**
 * Which noise levels a sampler visits: those of the model's own `chain`, evenly by timestep; those of Karras et al. 2022, dense
 * where there is little noise; or `geometric` ones. The latter two lie between the chain's, as networks trained on a chain serve
 * them well too.
 */
export type LevelSpacing = (typeof levelSpacings)[number];
const levelSpacings = ["chain", "karras", "geometric"] as const;

/** What every sampler can be told beside its own settings. */
export const visiting = {
  steps: custom(
    {
      help: 'steps, spread evenly; or as papers write them: "ddim25", "10,10,20"',
      placeholder: "n|spec",
      expected: 'a whole number from 1, or timesteps as papers write them ("ddim25", "10,10,20"),',
      accepts: (value): value is Steps =>
        typeof value === "number"
          ? Number.isSafeInteger(value) && value >= 1
          : typeof value === "string" && value !== "",
      read: (text) => (/^\d+$/.test(text) ? Number(text) : text),
    },
    { cost: "value" },
  ),
  levels: choice(
    levelSpacings,
    "noise levels to visit: evenly by the model's timesteps, dense where there is little noise, or by one factor",
    { cost: "value" },
  ),
};

/** The respacing that `steps` means: a number n becomes n sections of one step each. */
export const respacingOf = (steps: Steps): string =>
  typeof steps === "number" ? Array.from({ length: steps }, () => 1).join() : steps;

/** Does a process know what to make of its last level, which is nothing but noise? Then sampling starts there. */
const endsInNoise = (process: ProcessConfig): boolean =>
  process.zeroTerminalSnr === true || process.consistency === true || isContinuous(process);

/**
 * The chain that a sampler goes down.
 *
 * @throws UsageError for steps that cannot be had
 */
export function samplingSchedule(
  process: ProcessConfig,
  { steps, levels = "chain" }: { readonly steps: Steps; readonly levels?: LevelSpacing | undefined },
): NoiseSchedule {
  if (levels === "chain" && typeof steps === "number" && endsInNoise(process)) {
    const whole = noiseSchedule(process);
    // Section 3.3, Lin et al. 2023: "trailing" steps.
    const timesteps = Array.from({ length: steps }, (_, i) => Math.round(((i + 1) * process.steps) / steps) - 1);
    return scheduleOfLevels(
      process,
      timesteps.map((t) => whole.levels[t]!),
      { timesteps },
    );
  }
  if (levels === "chain") return noiseSchedule(process, respacingOf(steps));
  if (typeof steps === "string")
    throw new UsageError(
      `steps "${steps}" are timesteps of a chain, but levels "${levels}" lie between them; give a number of steps`,
    );
  const range = noiseRange(process);
  const ratios = levels === "karras" ? karrasRatios : geometricRatios;
  // A student's least level is as good as the picture: each of its steps stands at the upper end of its part of the way.
  const visited = process.consistency ? ratios(range, steps + 1).slice(1) : ratios(range, steps);
  return scheduleOfLevels(
    process,
    visited.map((ratio) => range.at(ratio)),
  );
}

/** Outside of these the images are as good as nothing but noise, or nothing but image. Table 1, Karras et al. 2022. */
const [leastRatio, mostRatio] = [0.002, 80] as const;

type Ends = Pick<NoiseRange, "lowest" | "highest">;

/** Ratios sigma / alpha, ascending: evenly by their seventh root. Eq. 5, Karras et al. 2022. */
const karrasRatios = (ends: Ends, count: number): number[] =>
  spaced(ends, count, (least, most, place) => {
    const root = (ratio: number): number => ratio ** (1 / 7);
    return (root(least) + place * (root(most) - root(least))) ** 7;
  });

/** Ratios sigma / alpha, ascending, each the same multiple of the one before. Section 4.1, Song & Ermon 2019. */
const geometricRatios = (ends: Ends, count: number): number[] =>
  spaced(ends, count, (least, most, place) => least * (most / least) ** place);

function spaced(
  { lowest, highest }: Ends,
  count: number,
  at: (least: number, most: number, place: number) => number,
): number[] {
  const [least, most] = [Math.max(lowest, leastRatio), Math.min(highest, mostRatio)];
  return Array.from({ length: count }, (_, i) => {
    // Both ends are hit exactly, so that neither is outside the range by rounding.
    if (i === count - 1) return most;
    return i === 0 ? least : at(least, most, i / (count - 1));
  });
}
