import type { GuidanceOptions } from "../guidance/guide.ts";
import { ddimStep } from "./ddim.ts";
import { ddpmStep } from "./ddpm.ts";
import type { Step } from "./step.ts";

/**
 * How often and where along the chain a sampler steps. A number: so many, evenly, each at the start of its part of the chain, so that
 * the first one is a part's length below T, where the image is not yet a division by almost nothing. A text: as `spaceTimesteps`
 * reads it, "250" with both ends of the chain, "10,10,20" or "ddim25".
 */
export type Steps = number | string;

/** A sampler with its settings, plain JSON; `ddim` and `ddpm` make one. */
export type Sampler =
  | { readonly kind: "ddim"; readonly steps: Steps; readonly eta: number }
  | { readonly kind: "ddpm"; readonly steps: Steps };

/** Steps that give good pictures. */
export const usualSteps = { ddim: 50, ddpm: 250 } as const;

/** DDIM (Song et al. 2021). `eta` from 0, the default, which is deterministic, to 1, as random as ancestral sampling. */
export const ddim = ({ steps = usualSteps.ddim, eta = 0 }: { steps?: Steps; eta?: number } = {}): Sampler => ({
  kind: "ddim",
  steps,
  eta,
});

/** Ancestral sampling (Ho et al. 2020). */
export const ddpm = ({ steps = usualSteps.ddpm }: { steps?: Steps } = {}): Sampler => ({ kind: "ddpm", steps });

/** The step of each sampler, and the form of classifier guidance that moves it. */
export const samplerKinds: Readonly<
  Record<Sampler["kind"], { readonly step: Step; readonly form: GuidanceOptions["form"] }>
> = {
  ddim: { step: ddimStep, form: "score" },
  ddpm: { step: ddpmStep, form: "mean" },
};

/** The respacing that `steps` means: a number n becomes n sections of one step each. */
export const respacingOf = (steps: Steps): string =>
  typeof steps === "number" ? Array.from({ length: steps }, () => 1).join() : steps;
