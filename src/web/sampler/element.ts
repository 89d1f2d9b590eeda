import type { Image } from "../../images/image.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import type { FetchProgress } from "../fetched-model.ts";
import { properties, textsOf, usual } from "./attributes.ts";
import { opened, type Shared } from "./shared.ts";
import { paint } from "./sheet.ts";
import type { DrawingEvent, GuidanceKind, SamplerModel } from "./work.ts";

/** What `<guidestar-sampler>` says with its event `picture`. */
export interface PictureDetail {
  /** The pictures, in bytes. */
  readonly pictures: readonly Image[];
  /** The record of how they were drawn. */
  readonly spec: RunSpec;
}

const style = `
:host { display: inline-block; position: relative; font: 14px/1.4 system-ui, sans-serif; }
:host([hidden]) { display: none; }
canvas { display: block; width: 100%; min-width: 64px; image-rendering: pixelated; }
canvas[hidden], [hidden] { display: none; }
progress { display: block; width: 100%; height: 4px; }
[part="error"] { margin: 0; color: #b3261e; }
@media (prefers-color-scheme: dark) { [part="error"] { color: #ff8a80; } }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

/** On a server there are no elements, and importing this must work there too. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * `<guidestar-sampler model="/models/digits/" class="3" scale="2" seed="7">`: draws pictures of a model, in a worker.
 *
 * Attributes: `model`, an address; `class`, names of classes with commas or spaces between (others in it are taken for those of a style
 * sheet), or `label`, which is for these alone; `scale` of the `guidance` ("classifier-free", "classifier" or "none"); `seed`, `count`, `sampler`,
 * `steps`, and every other setting of sampler and guidance as the command line calls it, as `cfg-rescale`; `wasm-paths`, `device`, `threads`
 * and `worker` as of `createSampler`. It draws when it is on the page and whenever one of them changes, or with `manual` when `draw` is
 * called.
 *
 * Events: `progress` ({ loaded, total } in bytes while the model comes), `step` ({ step, steps, pictures }), `picture` ({ pictures, spec }), `error`
 * (an Error); what they say is in `detail`. Slots: what is inside shows until there is a picture; `caption` shows below it. Parts: `picture`,
 * `progress`, `error`.
 */
export class GuidestarSampler extends Base {
  /** Address of the model. */
  declare model: string;
  /** Classes to draw, with commas between, or a list of them. */
  declare label: string | number | readonly string[] | undefined;
  /** Scale of the guidance. */
  declare scale: number | undefined;
  /** Which guidance the scale is of: "classifier-free" where the model knows it, else "classifier", by default. */
  declare guidance: GuidanceKind | "none" | undefined;
  /** Seed of the first picture. */
  declare seed: number | undefined;
  /** How many pictures; one for each class by default. */
  declare count: number | undefined;
  /** Kind of the sampler. */
  declare sampler: string | undefined;
  /** Steps of the sampler. */
  declare steps: number | undefined;
  /** Does it draw only when `draw` is called? */
  declare manual: boolean;

  #canvas!: HTMLCanvasElement;
  #progress!: HTMLProgressElement;
  #error!: HTMLElement;
  #heard!: HTMLElement;
  #waiting!: HTMLElement;
  #sampler: Shared | undefined;
  #drawing: AbortController | undefined;
  #watch: MutationObserver | undefined;
  #pending = false;
  #spec: RunSpec | undefined;
  #model: SamplerModel | undefined;

  /** @internal */
  connectedCallback(): void {
    if (!this.shadowRoot) this.#build();
    // Set before this code was there, they hide those of the class.
    for (const name of Object.keys(properties))
      if (Object.hasOwn(this, name)) {
        const value = this[name as keyof this];
        delete this[name as keyof this];
        this[name as keyof this] = value;
      }
    this.#watch = new MutationObserver((changes) => {
      const isOther = ({ attributeName: name, oldValue }: MutationRecord): boolean =>
        !usual.test(name!) && this.getAttribute(name!) !== oldValue;
      if (changes.some(isOther)) this.#changed();
    });
    this.#watch.observe(this, { attributes: true, attributeOldValue: true });
    this.#changed();
  }

  /** @internal */
  disconnectedCallback(): void {
    this.#watch?.disconnect();
    // Moved within the page, it is connected again at once.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.cancel();
      this.#sampler?.release();
      this.#sampler = undefined;
    });
  }

  #build(): void {
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${style}</style><div class="waiting"><slot></slot></div>
      <canvas part="picture" role="img" hidden></canvas><progress part="progress" aria-label="progress" hidden></progress>
      <p part="error" role="alert" hidden></p><span class="heard" role="status"></span><slot name="caption"></slot>`;
    const find = <E extends Element>(selector: string): E => root.querySelector<E>(selector)!;
    this.#canvas = find("canvas");
    this.#progress = find("progress");
    this.#error = find("[part=error]");
    this.#heard = find("[role=status]");
    this.#waiting = find(".waiting");
  }

  /** Several attributes that change together draw once. */
  #changed(): void {
    if (this.#pending || this.manual) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      // What goes wrong is said by the event and on the page.
      if (this.isConnected && this.model !== "") this.draw().catch(() => undefined);
    });
  }

  /**
   * Draws anew, and gives the pictures. A drawing that was under way is cancelled.
   *
   * @throws what is wrong with model or attributes, after the event `error`; the reason of an abort where it is cancelled
   */
  async draw(): Promise<PictureDetail> {
    this.cancel();
    const drawing = new AbortController();
    this.#drawing = drawing;
    const { signal } = drawing;
    try {
      const sampler = await this.#open(signal);
      this.#model = sampler.model;
      const spec = await sampler.read(textsOf(this, sampler.model));
      signal.throwIfAborted();
      let last: DrawingEvent | undefined;
      for await (const event of sampler.draw(spec, { signal })) {
        last = event;
        this.#show(event);
        this.#say("step", event);
      }
      this.#spec = spec;
      const detail: PictureDetail = { pictures: last!.pictures, spec };
      this.#canvas.setAttribute("aria-label", this.#described(spec));
      this.#heard.textContent = this.#described(spec);
      this.#say("picture", detail);
      return detail;
    } catch (error) {
      if (!signal.aborted) this.#fail(error as Error);
      throw error;
    } finally {
      if (this.#drawing === drawing) {
        this.#drawing = undefined;
        this.#progress.hidden = true;
      }
    }
  }

  /** Ends the drawing that is under way; the last step stays on the page. */
  cancel(): void {
    this.#drawing?.abort();
    this.#drawing = undefined;
    if (this.#progress) this.#progress.hidden = true;
  }

  async #open(signal: AbortSignal): Promise<Shared> {
    const text = (name: string): string | undefined => this.getAttribute(name) ?? undefined;
    const threads = text("threads");
    const options = {
      model: this.model,
      ...(text("wasm-paths") !== undefined && { wasmPaths: text("wasm-paths")! }),
      ...(text("worker") !== undefined && { worker: text("worker")! }),
      ...(text("device") !== undefined && { device: text("device") as "wasm" | "webgpu" }),
      ...(threads !== undefined && { threads: Number(threads) }),
    };
    this.#error.hidden = true;
    this.#progress.hidden = false;
    this.#progress.removeAttribute("value");
    const before = this.#sampler;
    this.#sampler = opened(options, (progress) => {
      if (signal.aborted) return;
      this.#advance(progress.loaded, progress.total);
      this.#say("progress", progress satisfies FetchProgress);
    });
    before?.release();
    const sampler = this.#sampler;
    await sampler.ready;
    signal.throwIfAborted();
    return sampler;
  }

  #show({ step, steps, pictures }: DrawingEvent): void {
    paint(this.#canvas, pictures);
    this.#canvas.hidden = false;
    this.#waiting.hidden = true;
    this.#advance(step, steps);
  }

  #advance(done: number, all: number | undefined): void {
    if (all === undefined) return;
    this.#progress.max = all;
    this.#progress.value = done;
  }

  #described({ labels, seeds }: RunSpec): string {
    const { classes } = this.#model!;
    const names = [...new Set(labels)].map((label) => classes[label] ?? "picture").join(", ");
    return `${seeds.length === 1 ? "drawn" : `${seeds.length} drawn`}: ${names}; seed ${seeds[0]}`;
  }

  #fail(error: Error): void {
    this.#error.textContent = error.message;
    this.#error.hidden = false;
    this.#say("error", error);
  }

  #say(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** The record of the pictures that it shows; undefined before the first. */
  get spec(): RunSpec | undefined {
    return this.#spec;
  }
}

for (const [name, read] of Object.entries(properties))
  Object.defineProperty(GuidestarSampler.prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: HTMLElement) {
      return read(this.getAttribute(name));
    },
    set(this: HTMLElement, value: unknown) {
      if (value === undefined || value === null || value === false) this.removeAttribute(name);
      else this.setAttribute(name, value === true ? "" : String(value));
    },
  });

/** Makes the element known as `<guidestar-sampler>`; importing `guidestar/element` does it. */
export function defineElement(): void {
  const { customElements: registry } = globalThis;
  if (registry && !registry.get("guidestar-sampler")) registry.define("guidestar-sampler", GuidestarSampler);
}

declare global {
  interface HTMLElementTagNameMap {
    "guidestar-sampler": GuidestarSampler;
  }
}
