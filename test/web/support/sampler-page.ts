/** What the tests of the sampler and its element ask a page to do. */

import "../../../src/public/element.ts";
import type { GuidestarSampler, PictureDetail } from "../../../src/public/element.ts";
import {
  type AskedRun,
  createSampler,
  type DrawingEvent,
  type RunTexts,
  type Sampler,
  type SamplerOptions,
} from "../../../src/public/web.ts";
import type { RunSpec } from "../../../src/sampling/run-spec.ts";
import { textOfBytes } from "./base64.ts";
import { longestTask } from "./tasks.ts";

let sampler: Sampler | undefined;
const element = (): GuidestarSampler => document.querySelector("guidestar-sampler")!;
const next = <T>(type: string): Promise<T> =>
  new Promise((resolve) =>
    element().addEventListener(type, (event) => resolve((event as CustomEvent<T>).detail), { once: true }),
  );

const inPage = {
  async open(options: SamplerOptions) {
    await sampler?.[Symbol.asyncDispose]();
    const progress: number[] = [];
    const { value, longest } = await longestTask(() =>
      createSampler({ threads: 1, ...options, onProgress: ({ loaded }) => progress.push(loaded) }),
    );
    sampler = value;
    const { model, device } = sampler;
    return { model, device, loaded: progress.at(-1), longest };
  },
  async draw(run: AskedRun | RunSpec) {
    const steps: string[] = [];
    let pictures: number[] = [];
    const { longest } = await longestTask(async () => {
      for await (const event of sampler!.draw(run)) {
        steps.push(`${event.step}/${event.steps}`);
        pictures = event.pictures.flatMap(({ data }) => Array.from(data));
      }
    });
    return { steps, pictures, longest };
  },
  /** Cancels at a step, or leaves the loop there; how long that took, in ms. */
  async cancel(run: AskedRun, at: number, how: "signal" | "break") {
    const ending = new AbortController();
    const began = { at: 0 };
    try {
      for await (const { step } of sampler!.draw(run, { signal: ending.signal })) {
        if (step < at) continue;
        began.at = performance.now();
        if (how === "break") break;
        ending.abort();
      }
    } catch (error) {
      return { name: (error as Error).name, took: performance.now() - began.at };
    }
    return { name: "left", took: performance.now() - began.at };
  },
  read: (texts: RunTexts) => sampler!.read(texts),
  write: (spec: RunSpec) => sampler!.write(spec),
  /** A drawing as a PNG, and what is read back of it. */
  async png(run: AskedRun) {
    const spec = await sampler!.settle(run);
    let last: DrawingEvent | undefined;
    for await (const event of sampler!.draw(spec)) last = event;
    const png = await sampler!.encodePng(last!.pictures, spec);
    return { spec, read: await sampler!.readPng(png, "sheet.png"), png: textOfBytes(png) };
  },
  readPng: (bytes: number[]) => sampler!.readPng(Uint8Array.from(bytes), "holiday.png"),

  /** Puts an element onto the page, and waits for an event of it. */
  async put(html: string, event: "picture" | "error") {
    const steps: number[] = [];
    document.body.innerHTML = html;
    element().addEventListener("step", () => steps.push(1));
    const detail = await next<PictureDetail | Error>(event);
    const all = { steps: steps.length, error: "", ...shown() };
    return detail instanceof Error
      ? { ...all, error: `${detail.name}: ${detail.message}`, spec: undefined, count: 0 }
      : { ...all, spec: detail.spec, count: detail.pictures.length };
  },
  /** Sets properties together; the record of the drawing that follows. */
  async set(properties: Partial<Pick<GuidestarSampler, "seed" | "scale" | "steps" | "guidance" | "label">>) {
    const drawn = next<PictureDetail>("picture");
    Object.assign(element(), properties);
    return (await drawn).spec;
  },
  /** Draws by hand; the record. */
  async drawByHand(steps: number) {
    Object.assign(element(), { manual: true, steps });
    return (await element().draw()).spec;
  },
  /** Draws by hand and cancels after the first step; the error of `draw`, and whether there was a picture after all. */
  async cancelByHand(steps: number) {
    const said: string[] = [];
    Object.assign(element(), { manual: true, steps });
    for (const type of ["picture", "error"]) element().addEventListener(type, () => said.push(type));
    const first = next("step");
    const drawing = element()
      .draw()
      .then(
        () => "drawn",
        (error: Error) => error.name,
      );
    await first;
    element().cancel();
    const ended = await drawing;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { ended, said };
  },
};

function shown() {
  const root = element().shadowRoot!;
  const canvas = root.querySelector("canvas")!;
  return {
    canvas: canvas.hidden ? undefined : `${canvas.width}x${canvas.height}`,
    described: canvas.getAttribute("aria-label"),
    message: root.querySelector<HTMLElement>("[part=error]")!.hidden
      ? ""
      : root.querySelector("[part=error]")!.textContent,
  };
}

export type SamplerInPage = typeof inPage;
Object.assign(globalThis, { inPage });
