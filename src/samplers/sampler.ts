import { counted } from "../counted.ts";
import type { NoiseSchedule, ProcessConfig } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import {
  definedOf,
  type OpenValues,
  problemOf,
  type Setting,
  type Settings,
  type SettingValues,
  usualValue,
  withUsual,
} from "../setting.ts";
import { type LevelSpacing, type Steps, visiting } from "./levels.ts";
import type { Solver } from "./solver.ts";

/** A kind of sampler: what it is called, what can be set, and what it computes. Everything else about it is derived from this value. */
export interface SamplerDefinition<K extends string = string, S extends Settings = Settings> {
  /** Its name, in lower case with hyphens. */
  readonly kind: K;
  /** What it does, as one line of the help. */
  readonly note: string;
  /** Its own settings, beside steps and levels. */
  readonly settings: S;
  /** Steps that give good pictures, and noise levels to take them at. */
  readonly steps: number;
  /** How the noise levels of those steps are spaced. */
  readonly levels: LevelSpacing;
  /**
   * What it reads of a prediction beside x0 and eps, and thus which guidance can move it: classifier guidance shifts the `mean` for
   * ancestral sampling and the score for all others, and CFG++ needs `renoise`.
   */
  readonly reads?: "mean" | "renoise";
  /** Is it for students, whose image is the end of the flow (`consistency` of the process), and not for denoisers? */
  readonly consistency?: boolean;
  /** Settings of other samplers that it refuses even where they are off; else what is off is ignored. */
  readonly refuses?: readonly string[];
  /** The sampler on the levels of a schedule. */
  solver(schedule: NoiseSchedule, settings: SettingValues<S>): Solver;
}

/** A sampler with every choice made. It is plain JSON, for which `definition` does not count: JSON leaves functions out. */
export type Sampler<K extends string = string, S extends Settings = Settings> = {
  readonly kind: K;
  readonly steps: Steps;
  readonly levels: LevelSpacing;
  /** What it is, where `registerSampler` has not made that known. */
  readonly definition?: SamplerDefinition | undefined;
} & SettingValues<S>;

/** What a sampler may be told; the rest is usual. */
export type SamplerOptions<S extends Settings = Settings> = OpenValues<S> & {
  readonly steps?: Steps | undefined;
  readonly levels?: LevelSpacing | undefined;
};

/** A definition, called to make a sampler: `heun({ steps: 12, churn: 5 })`. */
export interface SamplerMaker<K extends string, S extends Settings> extends SamplerDefinition<K, S> {
  (options?: SamplerOptions<S>): Sampler<K, S>;
}

/**
 * A sampler of one's own, or one of the library's. Called with settings it makes what `sample` takes.
 *
 * `sample` needs nothing more. Records and the command line know it by its kind after `registerSampler`.
 */
export function defineSampler<const K extends string, const S extends Settings>(
  definition: SamplerDefinition<K, S>,
): SamplerMaker<K, S> {
  if (!/^[a-z0-9][a-z0-9+-]*$/.test(definition.kind))
    throw new UsageError(
      `a sampler's kind is written in small letters, digits, + and -, as "dpm++2m", but this one is "${definition.kind}"`,
    );
  const maker: SamplerMaker<K, S> = Object.assign(
    (options: SamplerOptions<S> = {}) => completed(maker, options) as Sampler<K, S>,
    definition,
  );
  return maker;
}

const registered = new Map<string, SamplerDefinition>();

/** Makes a sampler known by its kind: to `makeSampler`, model.json, records of runs, and the command line's options if it comes before those. */
export function registerSampler(definition: SamplerDefinition): void {
  const other = registered.get(definition.kind);
  if (other && other !== definition)
    throw new UsageError(`there is a sampler "${definition.kind}" already; choose another kind`);
  registered.set(definition.kind, definition);
}

/** All samplers that are known by their kind. */
export const knownSamplers = (): SamplerDefinition[] => [...registered.values()];

/** What is wrong with the kind of a sampler; undefined where nothing is. */
export const kindProblem = (kind: string): string | undefined =>
  registered.has(kind)
    ? undefined
    : `"${kind}" is no sampler that is known here (${[...registered.keys()].join(", ")}); one of your own must be made known first, by registerSampler`;

/** The definition of a sampler. Throws UsageError where its kind is unknown. */
export function definitionOf({ kind, definition }: Pick<Sampler, "kind" | "definition">): SamplerDefinition {
  const found = definition ?? registered.get(kind);
  if (found) return found;
  throw new UsageError(kindProblem(kind)!);
}

/** Every setting that some sampler has, with the samplers that have it. */
export function samplerSettings(): Map<string, { readonly setting: Setting; readonly samplers: SamplerDefinition[] }> {
  const found: ReturnType<typeof samplerSettings> = new Map();
  for (const definition of registered.values())
    for (const [name, setting] of Object.entries(definition.settings)) {
      const before = found.get(name);
      if (before) before.samplers.push(definition);
      else found.set(name, { setting, samplers: [definition] });
    }
  return found;
}

/**
 * A sampler with the usual settings where none are given. Steps given as text are timesteps of the chain, so they are its levels
 * unless others are given.
 *
 * @param nameOf what errors call a setting
 * @throws UsageError for a setting that this sampler does not have, or that is out of range
 */
export function completed(
  definition: SamplerDefinition,
  options: SamplerOptions,
  nameOf: (setting: string) => string = (setting) => setting,
): Sampler {
  const { kind, settings } = definition;
  const known: Settings = { ...visiting, ...settings };
  const { kind: _, definition: __, ...given } = definedOf(options);
  for (const [name, value] of Object.entries(given)) {
    const problem = Object.hasOwn(known, name) ? problemOf(known[name]!, value) : undefined;
    if (problem) throw new UsageError(`${nameOf(name)} ${problem}`);
    if (!Object.hasOwn(known, name)) checkForeign(definition, name, value, nameOf);
  }
  const { steps = definition.steps, levels } = given;
  return {
    kind,
    steps,
    levels: levels ?? (typeof steps === "string" ? "chain" : definition.levels),
    ...withUsual(settings, given),
    ...(registered.get(kind) === definition ? {} : { definition }),
  };
}

/** Throws UsageError for a setting that a sampler does not have, unless it is off. */
function checkForeign(
  { kind, settings, refuses = [] }: SamplerDefinition,
  name: string,
  value: unknown,
  nameOf: (setting: string) => string,
): void {
  const found = samplerSettings().get(name);
  if (!found) {
    const known = ["steps", "levels", ...Object.keys(settings)].join(", ");
    throw new UsageError(`sampler ${kind} has no setting "${name}"; it has ${known}`);
  }
  const { setting, samplers } = found;
  if (value === setting.off && !refuses.includes(name)) return;
  throw new UsageError(
    `${nameOf(name)} belongs to ${samplers.map(({ kind }) => kind).join(", ")}, but the sampler is ${kind}; leave it out, or give another ${nameOf("sampler")}`,
  );
}

/** Throws UsageError where a sampler of denoisers is to draw with a student, which tells where the flow ends, or the other way round. */
export function checkServes({ kind, definition }: Sampler, process: Partial<ProcessConfig>): void {
  const { consistency: forStudents = false } = definitionOf({ kind, definition });
  const { consistency: isStudent = false } = process;
  if (forStudents && !isStudent)
    throw new UsageError(
      `sampler ${kind} is for students, which tell where the flow ends; of a denoiser \`guidestar distill\` makes one. Use another sampler`,
    );
  if (isStudent && !forStudents)
    throw new UsageError(
      `sampler ${kind} goes by the slope of the flow, but this model is a student, which tells where the flow ends; use the sampler consistency`,
    );
}

/**
 * What a sampler computes on the levels of a schedule. Throws UsageError where its plan goes towards more noise, or it does not serve such
 * networks.
 */
export function solverOf(sampler: Sampler, schedule: NoiseSchedule): Solver {
  checkServes(sampler, schedule.config);
  const solver = definitionOf(sampler).solver(schedule, sampler);
  const [first, last] = [solver.plan[0]?.[0], solver.plan.at(-1)?.[0]].map((evaluation) => evaluation?.coefficients);
  if (first && last && first.sigma * last.alpha < last.sigma * first.alpha)
    throw new UsageError(
      `sampler ${sampler.kind}: its plan begins with the least noise; steps go from the most noise to the picture, and a schedule's levels stand the other way round`,
    );
  return solver;
}

/** The form of classifier guidance that moves a sampler: only ancestral sampling reads the mean. */
export const guidanceForm = (sampler: Sampler): "mean" | "score" =>
  definitionOf(sampler).reads === "mean" ? "mean" : "score";

/** "heun, 18 steps, churn 5": what of it is not usual, or all of it. */
export function describeSampler({ kind, steps, levels, ...values }: Sampler, all = false): string {
  const { settings, levels: usual } = definitionOf({ kind, definition: values.definition });
  const own = Object.entries(settings).filter(([name, setting]) => all || values[name] !== usualValue(setting));
  return [
    kind,
    typeof steps === "number" ? counted(steps, "step") : `${steps} steps`,
    ...(all || levels !== usual ? [`levels ${levels}`] : []),
    ...own.map(([name]) => `${name} ${values[name]}`),
  ].join(", ");
}
