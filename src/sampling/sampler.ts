import { samplerKinds } from "../checkpoint/schema.ts";
import type { NoiseSchedule } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import type { GuidanceOptions } from "../guidance/guide.ts";
import { adamsSolver } from "./adams.ts";
import { ddimStep } from "./ddim.ts";
import { ddpmStep } from "./ddpm.ts";
import { dpmSolver2m } from "./dpm.ts";
import { eulerSolver } from "./euler.ts";
import { langevinSolver, predictorCorrector } from "./langevin.ts";
import type { LevelSpacing, Steps } from "./levels.ts";
import { plainPlan, type Solver } from "./solver.ts";

/** A sampler with its settings, plain JSON; `ddim`, `ddpm` and `makeSampler` make one. Without `levels` it visits the chain's. */
export type Sampler = { readonly steps: Steps; readonly levels?: LevelSpacing | undefined } & (
  | { readonly kind: "ddim"; readonly eta: number }
  | { readonly kind: "ddpm" }
  | { readonly kind: "euler" | "heun"; readonly churn: number }
  | { readonly kind: "dpm++2m" }
  | { readonly kind: "dpm++2m-sde"; readonly eta: number }
  | { readonly kind: "sa-solver"; readonly eta: number; readonly order: number }
  | { readonly kind: "langevin" | "pc"; readonly corrections: number; readonly snr: number }
);
export type SamplerKind = (typeof samplerKinds)[number];

/** What a sampler may be told beside its kind. */
export interface SamplerSettings {
  readonly steps?: Steps | undefined;
  readonly levels?: LevelSpacing | undefined;
  /** Randomness, 0 ... 1: of DDIM, where 1 is as random as ancestral sampling, and of the stochastic solvers, where 0 is none. */
  readonly eta?: number | undefined;
  /** S_churn of Karras et al. 2022, from 0: noise that is added and removed again, over all steps. */
  readonly churn?: number | undefined;
  /** How many images a step of SA-Solver is predicted from, 1 ... 4. */
  readonly order?: number | undefined;
  /** Steps of Langevin dynamics at each noise level, and how large they are; see `LangevinOptions`. */
  readonly corrections?: number | undefined;
  readonly snr?: number | undefined;
}

/** Each sampler with the settings that give good pictures. */
export const usualSamplers: Readonly<Record<SamplerKind, Sampler>> = {
  ddim: { kind: "ddim", steps: 50, eta: 0 },
  ddpm: { kind: "ddpm", steps: 250 },
  euler: { kind: "euler", steps: 50, levels: "karras", churn: 0 },
  heun: { kind: "heun", steps: 18, levels: "karras", churn: 0 },
  "dpm++2m": { kind: "dpm++2m", steps: 10, levels: "karras" },
  "dpm++2m-sde": { kind: "dpm++2m-sde", steps: 20, levels: "karras", eta: 1 },
  // Higher orders need more steps before they are better: on the mixture of the tests, thirty.
  "sa-solver": { kind: "sa-solver", steps: 12, levels: "chain", eta: 0, order: 1 },
  langevin: { kind: "langevin", steps: 100, levels: "geometric", corrections: 5, snr: 0.25 },
  pc: { kind: "pc", steps: 50, levels: "karras", corrections: 1, snr: 0.16 },
};

/**
 * A sampler of a kind, with the usual settings where none are given.
 *
 * @throws UsageError for a setting that this kind does not have, or that is out of range
 */
export function makeSampler(kind: SamplerKind, settings: SamplerSettings = {}): Sampler {
  const usual = usualSamplers[kind];
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  for (const name of samplerSettings)
    if (name in given && !(name in usual))
      throw new UsageError(`sampler ${kind} has no ${name}; leave it out, or choose ${samplersWith(name).join(", ")}`);
  const { eta = 0, churn = 0, order = 1, corrections = 1, snr = 0.5 } = settings;
  if (!(eta >= 0 && eta <= 1)) throw new UsageError(`eta must be between 0 (deterministic) and 1 but is ${eta}`);
  if (!(churn >= 0)) throw new UsageError(`churn must be at least 0 (none) but is ${churn}`);
  if (!(Number.isInteger(order) && order >= 1 && order <= 4))
    throw new UsageError(`order must be a whole number from 1 to 4 but is ${order}`);
  if (!(Number.isInteger(corrections) && corrections >= 1 && corrections <= mostCorrections))
    throw new UsageError(`corrections must be a whole number from 1 to ${mostCorrections} but is ${corrections}`);
  if (!(snr > 0 && snr < 1)) throw new UsageError(`snr must be above 0, no step at all, and below 1 but is ${snr}`);
  return { ...usual, ...given };
}

/**
 * A sampler with some settings changed. Steps given as text are timesteps of the chain, so they are its levels unless others are given.
 *
 * @throws UsageError as `makeSampler` does
 */
export function changeSampler({ kind, ...own }: Sampler, given: SamplerSettings): Sampler {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const between = own.levels !== undefined && own.levels !== "chain";
  return makeSampler(kind, {
    ...own,
    ...(typeof given.steps === "string" && between && { levels: "chain" as const }),
    ...defined,
  });
}

/** What some samplers have and others don't. */
export const samplerSettings = ["eta", "churn", "order", "corrections", "snr"] as const;
/** The noise of each has a stream of its own; see `streamOf`. */
const mostCorrections = 1000;

/** The samplers that have a setting. */
export const samplersWith = (setting: (typeof samplerSettings)[number]): SamplerKind[] =>
  samplerKinds.filter((kind) => setting in usualSamplers[kind]);

/** DDIM (Song et al. 2021). `eta` from 0, the default, which is deterministic, to 1, as random as ancestral sampling. */
export const ddim = (settings: { steps?: Steps; eta?: number } = {}): Sampler => makeSampler("ddim", settings);

/** Ancestral sampling (Ho et al. 2020). */
export const ddpm = (settings: { steps?: Steps } = {}): Sampler => makeSampler("ddpm", settings);

/** The form of classifier guidance that moves a sampler: only ancestral sampling reads the mean. */
export const guidanceForm = ({ kind }: Sampler): GuidanceOptions["form"] => (kind === "ddpm" ? "mean" : "score");

/** What a sampler computes on the levels of a chain. */
export function solverOf(sampler: Sampler, chain: NoiseSchedule): Solver {
  const plain = { memory: [], numbers: [] };
  switch (sampler.kind) {
    case "ddpm":
      return { ...plain, step: ddpmStep, plan: plainPlan(chain, { noisy: true }) };
    case "ddim": {
      const { eta } = sampler;
      return { ...plain, step: ddimStep, plan: plainPlan(chain, { noisy: eta !== 0, eta }) };
    }
    case "euler":
    case "heun":
      return eulerSolver(chain, { method: sampler.kind, churn: sampler.churn });
    case "dpm++2m":
      return dpmSolver2m(chain, { eta: 0 });
    case "dpm++2m-sde":
      return dpmSolver2m(chain, { eta: sampler.eta });
    case "sa-solver":
      return adamsSolver(chain, sampler);
    case "langevin":
      return langevinSolver(chain, sampler);
    case "pc":
      return predictorCorrector(chain, sampler);
  }
}
