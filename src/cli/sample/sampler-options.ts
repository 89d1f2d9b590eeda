import { type LevelSpacing, type Steps, visiting } from "../../samplers/levels.ts";
import { knownSamplers, samplerSettings } from "../../samplers/sampler.ts";
import { type BundledSettings, usualSampler } from "../../samplers/samplers.ts";
import { type OpenValues, usualValue } from "../../setting.ts";
import { choice, flagOf, type Option, ofSetting, text } from "../terminal/option.ts";

const kinds = knownSamplers().map(({ kind }) => kind);

/** "0; 1 for dpm++2m-sde": what is usual for each sampler, that of most of them first. */
function usualInWords(values: readonly (readonly [kind: string, value: unknown])[]): string {
  const groups = new Map<string, string[]>();
  for (const [kind, value] of values) groups.set(String(value), [...(groups.get(String(value)) ?? []), kind]);
  const [[first] = [""], ...others] = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
  return [first, ...others.map(([value, kinds]) => `${value} for ${kinds.join(", ")}`)].join("; ");
}

type OwnOptions = { readonly [K in keyof BundledSettings]: Option<OpenValues<BundledSettings>[K]> };
const ownOptions = Object.fromEntries(
  Array.from(samplerSettings(), ([name, { setting, samplers }]) => {
    const usual = samplers.map(({ kind, settings }) => [kind, usualValue(settings[name]!)] as const);
    const help = `${setting.help}; for ${samplers.map(({ kind }) => kind).join(", ")}`;
    return [name, ofSetting({ ...setting, help }, { otherwise: `the model's, else ${usualInWords(usual)}` })];
  }),
) as OwnOptions;

/** Which sampler draws, and how. */
export const samplerOptions = {
  sampler: choice(kinds, "how noise becomes a picture: see below", {
    otherwise: `the model's, else ${usualSampler.kind}`,
  }),
  steps: ofSetting<Steps, { otherwise: string }>(visiting.steps, {
    otherwise: "the model's, else what is usual for the sampler",
  }),
  respacing: text(
    "spec",
    'in place of --steps, the timesteps of guided-diffusion\'s --timestep_respacing: "250" keeps the first and the last',
  ),
  levels: ofSetting<LevelSpacing, { otherwise: string }>(visiting.levels, {
    otherwise: `the model's, else ${usualInWords(knownSamplers().map(({ kind, levels }) => [kind, levels]))}`,
  }),
  ...ownOptions,
};

/** What each sampler does, as rows of a table. */
export const samplerNotes = knownSamplers()
  .map(({ kind, note }) => `  ${kind.padEnd(12)} ${note}\n`)
  .join("");

type Prefixed<P extends string, O> = { readonly [K in keyof O as `${P}${Capitalize<K & string>}`]: O[K] };

/** The same of a second model, each option under its name after a prefix. */
export const samplerOptionsOf = <const P extends string>(prefix: P, what: string): Prefixed<P, typeof samplerOptions> =>
  Object.fromEntries(
    Object.entries(samplerOptions as Record<string, Option<unknown>>).map(([key, { otherwise: _, ...option }]) => {
      // The help says more of its values where the option itself stands.
      const placeholder = (option.placeholder?.length ?? 0) > 10 ? "name" : option.placeholder;
      const own = {
        ...option,
        ...(placeholder !== undefined && { placeholder }),
        help: `as ${flagOf(key)}, of ${what}`,
      };
      return [`${prefix}${key[0]!.toUpperCase()}${key.slice(1)}`, own];
    }),
  ) as Prefixed<P, typeof samplerOptions>;
