import type { RunSpec } from "guidestar/diffusion";
import type { Image } from "guidestar/formats";
import { createSampler, type DrawingEvent, type RunTexts, type Sampler, type WrittenRun } from "guidestar/web";
import { download, gifOf } from "./files.ts";
import { Form } from "./form.svelte.ts";
import { texts } from "./texts.ts";

/** What `guidestar page` says of the page's model. */
export interface PageRecord {
  readonly title: string;
  /** Address of the model's folder. */
  readonly model: string;
  /** What the command line calls it. */
  readonly name: string;
}

/** Pictures that were drawn, and all that there is to know of them. */
export interface Drawn {
  readonly spec: RunSpec;
  readonly written: WrittenRun;
  readonly pictures: readonly Image[];
  /** How they formed, at most sixty steps of it. */
  readonly frames: readonly (readonly Image[])[];
  readonly seconds: number;
}

export interface Failure {
  readonly message: string;
  readonly advice: string | undefined;
  /** The page cannot draw at all. */
  readonly fatal: boolean;
}

const mostFrames = 60;
const mostHistory = 48;

/** The page's one state: the model, what the controls say, what is drawn and was drawn. */
export class Session {
  readonly record: PageRecord;
  #sampler: Sampler | undefined;
  #ending: AbortController | undefined;

  form = $state<Form>();
  where = $state("");
  status = $state<"loading" | "ready" | "drawing" | "failed">("loading");
  loading = $state<{ loaded: number; total: number | undefined }>();
  step = $state.raw<DrawingEvent>();
  /** What is on the stage. */
  shown = $state.raw<{ pictures: readonly Image[]; spec: RunSpec }>();
  /** The last whole drawing, which is saved and copied. */
  current = $state.raw<Drawn>();
  history = $state.raw<readonly Drawn[]>([]);
  failure = $state<Failure>();
  note = $state("");
  /** A text that could not be copied. */
  byHand = $state<string>();

  /** Is it the model that the page was written for? */
  readonly isOwn: boolean;

  constructor(record: PageRecord, model: string | null) {
    this.isOwn = model === null;
    this.record = model === null ? record : { ...record, model, name: model, title: model };
  }

  /** Opens the model, and draws what the address says. */
  async open(): Promise<void> {
    const { model, name } = this.record;
    this.status = "loading";
    this.failure = undefined;
    try {
      const sampler = await createSampler({
        model,
        name,
        onProgress: (progress) => {
          this.loading = progress;
        },
      });
      this.#sampler = sampler;
      this.where = texts.where(sampler.device, sampler.threads);
      this.form = new Form(sampler.model);
      this.status = "ready";
    } catch (error) {
      this.status = "failed";
      this.#fail(error, true);
      return;
    }
    await this.follow();
  }

  /** Draws what the address says; the model's usual run where it says nothing, or what cannot be. */
  async follow(): Promise<void> {
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const usual = { count: String(Math.min(this.form!.model.classes.length || 4, 16)) };
    const isAsked = await this.#show(isEmpty(asked) ? usual : asked, "");
    const { failure } = this;
    if (!isAsked) await this.#show(usual, "");
    await this.draw({ keepsAddress: isAsked });
    if (!isAsked) this.failure = failure;
  }

  /** Puts a run of texts onto the controls. */
  async #show(asked: RunTexts, note: string): Promise<boolean> {
    try {
      await this.#take(await this.#sampler!.read(asked), note);
      // Of fewer pictures than classes the run alone does not tell.
      if ((asked.class ?? "*") === "*") this.form!.classes = [];
      return true;
    } catch (error) {
      this.#fail(error, false);
      return false;
    }
  }

  async #take(spec: RunSpec, note: string): Promise<void> {
    this.form!.take(spec, await this.#sampler!.write(spec));
    this.note = note;
  }

  /** Draws what the controls say. */
  async draw({ again = false, keepsAddress = false } = {}): Promise<void> {
    const form = this.form!;
    if (again && !form.locked) form.seed = newSeed();
    this.#ending?.abort();
    const ending = new AbortController();
    this.#ending = ending;
    const { signal } = ending;
    this.failure = undefined;
    this.note = "";
    this.step = undefined;
    this.status = "drawing";
    const began = performance.now();
    try {
      const asked = form.texts();
      const spec = await this.#sampler!.read(asked);
      const { texts: all, ...forms } = await this.#sampler!.write(spec);
      const written = { ...forms, texts: { ...all, ...(asked.class !== undefined && { class: asked.class }) } };
      signal.throwIfAborted();
      const frames: (readonly Image[])[] = [];
      for await (const event of this.#sampler!.draw(spec, { signal })) {
        const { step, steps, pictures } = event;
        if ((steps - step) % Math.ceil(steps / mostFrames) === 0) frames.push(pictures);
        this.step = event;
        this.shown = { pictures, spec };
      }
      const { pictures } = this.shown!;
      this.current = { spec, written, pictures, frames, seconds: (performance.now() - began) / 1000 };
      this.history = [this.current, ...this.history].slice(0, mostHistory);
      this.note = texts.drawn(this.current.seconds);
      const address = `#${new URLSearchParams(written.texts)}`;
      if (location.hash !== address)
        history[keepsAddress || location.hash === "" ? "replaceState" : "pushState"](null, "", address);
    } catch (error) {
      if (!signal.aborted) this.#fail(error, false);
    } finally {
      if (this.#ending === ending) {
        this.#ending = undefined;
        this.status = "ready";
      }
    }
  }

  /** Ends the drawing; the last whole one is on the stage again. */
  cancel(): void {
    if (!this.#ending) return;
    this.#ending.abort();
    this.#ending = undefined;
    this.status = "ready";
    this.note = texts.cancelled;
    if (this.current) this.shown = this.current;
  }

  /** Shows what was drawn before, and its settings. */
  recall(drawn: Drawn): void {
    this.#ending?.abort();
    this.#ending = undefined;
    this.status = "ready";
    this.failure = undefined;
    this.current = drawn;
    this.shown = drawn;
    this.form!.take(drawn.spec, drawn.written);
    this.note = texts.drawn(drawn.seconds);
    history.pushState(null, "", `#${new URLSearchParams(drawn.written.texts)}`);
  }

  /** Takes the settings of a PNG file, and draws. */
  async restore(file: File): Promise<void> {
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const spec = await this.#sampler!.readPng(bytes, file.name);
      const isOther = spec.model.denoiser !== this.form!.model.denoiser;
      // Of another model the settings count, not its labels' numbers: what this one lacks is an error.
      await this.#take(spec, "");
      await this.draw();
      if (this.failure) return;
      this.note = isOther ? texts.otherModel(spec.model.name) : texts.restored(file.name);
    } catch (error) {
      this.#fail(error, false);
    }
  }

  async savePng(): Promise<void> {
    const { pictures, spec } = this.current!;
    const png = await this.#sampler!.encodePng(pictures, spec);
    this.#save(new Blob([png], { type: "image/png" }), "png");
  }

  async saveGif(): Promise<void> {
    this.note = texts.gifBusy;
    const { frames, spec } = this.current!;
    const gif = await gifOf(frames, spec.labels);
    this.#save(new Blob([gif], { type: "image/gif" }), "gif");
  }

  #save(file: Blob, ending: string): void {
    const { written } = this.current!;
    const shown = (written.texts.class ?? "").replace("*", "all");
    // Of a path the last part.
    const model = this.record.name.split(/[\\/]/).findLast((part) => part !== "") ?? "picture";
    const name = `${[model, shown, written.texts.seed].join(" ")}.${ending}`.replace(/[^\p{L}\p{N}.]+/gu, "-");
    download(file, name);
    this.note = texts.saved(name);
  }

  async copy(what: "command" | "code" | "link"): Promise<void> {
    const { command, code } = this.current!.written;
    const text = { command, code, link: location.href }[what];
    try {
      await navigator.clipboard.writeText(text);
      this.note = texts.copied[what];
    } catch {
      this.byHand = text;
    }
  }

  #fail(error: unknown, fatal: boolean): void {
    const { message, code } = error as Error & { code?: string };
    this.failure = { message: message.replace(/^sample: /, ""), advice: texts.advice[code ?? ""], fatal };
  }
}

const isEmpty = (record: object): boolean => Object.keys(record).length === 0;

export const newSeed = (): number => Math.floor(Math.random() * 1e6);
