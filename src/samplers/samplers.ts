import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import { definedOf, type OpenValues, problemsIn, type Settings } from "../setting.ts";
import { type LevelSpacing, type Steps, visiting } from "./levels.ts";
import {
  checkServes,
  completed,
  definitionOf,
  knownSamplers,
  registerSampler,
  type Sampler,
  type SamplerDefinition,
  type SamplerOptions,
  samplerSettings,
} from "./sampler.ts";
import { consistency } from "./solvers/consistency.ts";
import { ddim } from "./solvers/ddim.ts";
import { ddpm } from "./solvers/ddpm.ts";
import { dpm2m } from "./solvers/dpm-2m.ts";
import { dpm2mSde } from "./solvers/dpm-2m-sde.ts";
import { euler } from "./solvers/euler.ts";
import { heun } from "./solvers/heun.ts";
import { langevin } from "./solvers/langevin.ts";
import { pc } from "./solvers/pc.ts";
import { saSolver } from "./solvers/sa-solver.ts";

/** The library's samplers, in the order of the help. */
const bundled = [ddim, ddpm, euler, heun, dpm2m, dpm2mSde, saSolver, langevin, pc, consistency] as const;
for (const sampler of bundled) registerSampler(sampler);

/** Kinds of the library's samplers, and the settings that any of them has. */
export type SamplerKind = (typeof bundled)[number]["kind"];
type AllOf<S> = (S extends unknown ? (each: S) => void : never) extends (all: infer A) => void ? A : never;
export type BundledSettings = AllOf<(typeof bundled)[number]["settings"]>;

/**
 * Where nothing is said: of the bundled digits it is the fastest that is as close to the data as 250 steps of ancestral sampling;
 * `npm run bench -- samplers` measures it.
 */
export const usualSampler: SamplerDefinition = dpm2m;

/**
 * A sampler of a kind, with the usual settings where none are given.
 *
 * @throws UsageError for a kind that is not known, and for a setting that the sampler does not have, or that is out of range
 */
export const makeSampler = (kind: string, options: SamplerOptions = {}): Sampler =>
  completed(definitionOf({ kind }), options);

/** What may be asked of a sampler: its kind too may be left open. */
export type AskedSampler = SamplerOptions & OpenValues<BundledSettings> & Partial<Pick<Sampler, "kind" | "definition">>;

/** What a model's record says of the sampler that suits it. */
export interface SamplerRecord {
  readonly sampler?: string | undefined;
  readonly steps?: Steps | undefined;
  readonly levels?: LevelSpacing | undefined;
  readonly [setting: string]: unknown;
}

/**
 * Reads what a model's record says of its sampler, and of settings that are not the sampler's. Throws UsageError for a kind or a setting
 * that is not known, or out of range.
 */
export const readSamplerRecord =
  (others: Settings) =>
  (json: Readonly<Record<string, unknown>>): SamplerRecord => {
    const { sampler, ...given } = json;
    const settings: Settings = {
      ...others,
      ...visiting,
      ...Object.fromEntries(Array.from(samplerSettings(), ([name, { setting }]) => [name, setting])),
      ...(sampler === undefined ? {} : definitionOf({ kind: String(sampler) }).settings),
    };
    const [first] = problemsIn(settings, given);
    if (first) throw new UsageError(`${first.name} ${first.problem}`);
    return json;
  };

interface Around {
  /** What the model's record asks for where the caller does not. */
  readonly record?: SamplerRecord | undefined;
  /** The noise that is removed, of which there are no more usual steps than it has. */
  readonly process?: (Pick<ProcessConfig, "steps"> & Partial<ProcessConfig>) | undefined;
  /** What errors call a setting. */
  readonly nameOf?: ((setting: string) => string) | undefined;
  /** Where neither caller nor record say which, and it is a denoiser's: by default `usualSampler`. */
  readonly usual?: SamplerDefinition | undefined;
  /** What the sampler must read: one that doesn't is chosen only if it is asked for. */
  readonly reads?: SamplerDefinition["reads"];
}

/**
 * Makes every choice of a sampler that was left open: the model's own settings where they are for this kind, else the usual ones.
 *
 * @throws UsageError for a kind that is not known, and for settings that the sampler does not have, or that are out of range
 */
export function settleSampler(
  asked: AskedSampler = {},
  { record = {}, process, nameOf, usual = usualSampler, reads }: Around = {},
): Sampler {
  const own = definitionOf({ kind: record.sampler ?? (process?.consistency ? consistency : usual).kind });
  const open = reads === undefined || own.reads === reads ? own : knownSamplers().find((each) => each.reads === reads)!;
  const definition = asked.kind === undefined ? open : definitionOf({ ...asked, kind: asked.kind });
  // What the record says of settings that this sampler does not have is for others.
  const isOwn = (name: string): boolean =>
    definition === own && (name === "steps" || name === "levels" || name in definition.settings);
  const recorded = Object.fromEntries(Object.entries(record).filter(([name]) => isOwn(name)));
  // Steps given as text are timesteps of the chain, not of the levels that the record asks for.
  if (typeof asked.steps === "string") delete recorded.levels;
  const steps = Math.min(definition.steps, process?.steps ?? Infinity);
  const sampler = completed(definition, { steps, ...recorded, ...definedOf(asked) }, nameOf);
  if (process) {
    checkServes(sampler, process);
    checkSteps(sampler, process.steps);
  }
  return sampler;
}

/** Throws UsageError for steps that cannot be. */
function checkSteps({ steps, levels }: Sampler, length: number): void {
  if (typeof steps === "string") {
    if (levels === "chain") return;
    throw new UsageError(
      `sample: steps "${steps}" are timesteps of a chain, but levels "${levels}" lie between them; give a number of steps`,
    );
  }
  const most = levels === "chain" ? length : mostSteps;
  if (!Number.isInteger(steps) || steps < 1 || steps > most) {
    const why = levels === "chain" ? ", the model's T," : "";
    throw new UsageError(`sample: steps must be a whole number from 1 to ${most}${why} but is ${steps}`);
  }
}

/** More levels than this differ by less than float32 tells. */
const mostSteps = 10_000;
