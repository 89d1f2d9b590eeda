import type { RunSpec } from "guidestar/diffusion";
import type { RunTexts, SamplerModel, WrittenRun } from "guidestar/web";

export type Kind = "none" | "classifier-free" | "classifier" | "both";

/** Settings that have a control of their own; all others that a run has stand under "also". */
const controlled = ["class", "count", "seed", "sampler", "steps", "cfg-scale", "classifier-scale"];

/** What the controls say: one run in texts. */
export class Form {
  /** Classes that are drawn in turn; none means all. */
  classes = $state<string[]>([]);
  kind = $state<Kind>("none");
  cfgScale = $state(2);
  classifierScale = $state(1);
  sampler = $state("");
  steps = $state("");
  seed = $state(0);
  count = $state(1);
  /** Does the seed stay when the same is drawn again? */
  locked = $state(true);
  also = $state<RunTexts>({});

  readonly model: SamplerModel;

  constructor(model: SamplerModel) {
    this.model = model;
  }

  /** The kinds of guidance that the model can follow. */
  get kinds(): Kind[] {
    const { guidance } = this.model;
    return ["none", ...guidance, ...(guidance.length > 1 ? (["both"] as const) : [])];
  }

  has(kind: "classifier-free" | "classifier"): boolean {
    return this.kind === kind || this.kind === "both";
  }

  texts(): RunTexts {
    const { classes, guidance } = this.model;
    const whole = (value: number | null): string => String(value ?? "");
    return {
      ...(classes.length > 0 && { class: this.classes.length > 0 ? this.classes.join(",") : "*" }),
      count: whole(this.count),
      seed: whole(this.seed),
      sampler: this.sampler,
      steps: String(this.steps),
      ...(guidance.includes("classifier-free") && {
        "cfg-scale": this.has("classifier-free") ? String(this.cfgScale) : "1",
      }),
      ...(guidance.includes("classifier") && {
        "classifier-scale": this.has("classifier") ? String(this.classifierScale) : "0",
      }),
      ...this.also,
    };
  }

  /** Shows a run. */
  take({ guidance }: RunSpec, { texts }: WrittenRun): void {
    const { cfgScale, classifierScale } = guidance;
    const [free, classified] = [cfgScale !== 1 || guidance.cfgPlusPlus, classifierScale !== 0];
    this.classes = texts.class === undefined || texts.class === "*" ? [] : this.#named(texts.class);
    this.kind = free && classified ? "both" : free ? "classifier-free" : classified ? "classifier" : "none";
    if (free) this.cfgScale = cfgScale;
    if (classified) this.classifierScale = classifierScale;
    this.sampler = texts.sampler!;
    this.steps = texts.steps!;
    this.seed = Number(texts.seed);
    this.count = Number(texts.count);
    this.also = Object.fromEntries(Object.entries(texts).filter(([name]) => !controlled.includes(name)));
  }

  /** Classes of a list, whose names may have commas. */
  #named(list: string): string[] {
    const { classes } = this.model;
    return classes.includes(list) ? [list] : classes.filter((name) => `,${list},`.includes(`,${name},`));
  }

  /** Another sampler, with its own usual steps and without settings of others. */
  choose(kind: string): void {
    const chosen = this.model.samplers.find((sampler) => sampler.kind === kind)!;
    const foreign = this.model.samplers
      .flatMap(({ settings }) => settings)
      .filter((name) => !chosen.settings.includes(name));
    this.sampler = kind;
    this.steps = String(chosen.steps);
    this.also = Object.fromEntries(
      Object.entries(this.also).filter(([name]) => name !== "levels" && !foreign.includes(name)),
    );
  }

  without(name: string): void {
    const { [name]: _, ...rest } = this.also;
    this.also = rest;
  }
}
