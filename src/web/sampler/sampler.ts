import { RuntimeFailure } from "../../errors.ts";
import type { Image } from "../../images/image.ts";
import type { WebBackendOptions } from "../../runtime/web/backend.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import type { RunTexts } from "../../sampling/run-texts.ts";
import type { RunOptions } from "../../sampling/settings.ts";
import type { FetchOptions, FetchProgress } from "../fetched-model.ts";
import { type Answer, type Request, received } from "./messages.ts";
import type { Call, DrawingEvent, Opened, OpenOptions, SamplerModel, Work, WrittenRun } from "./work.ts";

/** Settings of `createSampler`. */
export interface SamplerOptions extends Omit<WebBackendOptions, "worker">, FetchOptions {
  /** Address of a model folder, or of a zip of one, relative to the page. */
  readonly model: string | URL;
  /** What records of pictures call the model; its address by default. */
  readonly name?: string;
  /**
   * Address of the worker's code, where the bundler does not find `new Worker(new URL(...))` by itself: a bundle of
   * `guidestar/web/sampler-worker`, with one of `guidestar/web/worker` beside it as `worker.js`.
   */
  readonly worker?: string | URL;
}

/** Plain options of a run: what can pass to a worker. */
export type AskedRun = Omit<RunOptions, "weakModel" | "guides" | "seeds" | "count"> &
  ({ readonly seeds: readonly number[] } | { readonly count: number });

/** A model that is ready to draw, in a worker. */
export interface Sampler extends AsyncDisposable {
  /** What there is to know of the model. */
  readonly model: SamplerModel;
  /** Where it computes. */
  readonly device: RunSpec["device"];
  /** Threads that it has. */
  readonly threads: number;
  /**
   * Draws pictures, step by step. Leaving the loop, or the signal, ends the drawing.
   *
   * @param run options, or a record of `read` or `settle`
   * @throws UsageError for options that the model cannot serve; RuntimeFailure where the engine fails
   */
  draw(
    run: AskedRun | RunSpec,
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<DrawingEvent, void, undefined>;
  /** The record of a run with every choice made. Throws UsageError as `draw`. */
  settle(run: AskedRun): Promise<RunSpec>;
  /** The record of a run that texts ask for: `{ class: "3,7", seed: "7", "cfg-scale": "2" }`. Throws UsageError, which names the text. */
  read(texts: RunTexts): Promise<RunSpec>;
  /** A run as texts, as a command line and as a program. Throws UsageError where texts cannot say it. */
  write(spec: RunSpec): Promise<WrittenRun>;
  /** Pictures as one sheet in a PNG file, which carries the record. */
  encodePng(pictures: readonly Image[], spec: RunSpec): Promise<Uint8Array<ArrayBuffer>>;
  /** The record that a PNG file carries. Throws DataError, which calls the file `name`, where there is none that can be used. */
  readPng(bytes: Uint8Array, name: string): Promise<RunSpec>;
}

/**
 * Opens a model in a worker of its own, so that the page does none of the work: it gets pictures. `await using` ends the worker.
 *
 * @throws ModelError where the model cannot be had or used; RuntimeFailure where the engine's or the worker's files are not there
 */
export async function createSampler({
  model,
  name = String(model),
  worker: address,
  onProgress,
  signal,
  cache = true,
  device,
  threads,
  wasmPaths = "onnxruntime-web/",
}: SamplerOptions): Promise<Sampler> {
  const absolute = (relative: string | URL): string => new URL(relative, document.baseURI).href;
  const thread = new Thread(startWorker(address === undefined ? undefined : absolute(address)));
  const options: OpenOptions = {
    model: absolute(model),
    name,
    cache,
    wasmPaths: absolute(wasmPaths),
    ...(device && { device }),
    ...(threads !== undefined && { threads }),
  };
  try {
    const opened: Opened = await thread.ask("open", [options], {
      signal,
      tell: (event) => onProgress?.(event as FetchProgress),
    });
    return samplerOf(thread, opened);
  } catch (error) {
    thread.end();
    throw error;
  }
}

const samplerOf = (thread: Thread, opened: Opened): Sampler => ({
  ...opened,
  async *draw(run, { signal } = {}) {
    const spec = "format" in run ? run : await thread.ask("settle", [run as RunOptions], { signal });
    yield* thread.events<DrawingEvent>("draw", [spec], signal);
  },
  settle: (run) => thread.ask("settle", [run as RunOptions]),
  read: (texts) => thread.ask("read", [texts]),
  write: (spec) => thread.ask("write", [spec]),
  encodePng: async (pictures, spec) => (await thread.ask("png", [pictures, spec])) as Uint8Array<ArrayBuffer>,
  readPng: (bytes, name) => thread.ask("specOfPng", [bytes, name]),
  async [Symbol.asyncDispose]() {
    await thread.ask("close", []).catch(() => undefined);
    thread.end();
  },
});

function startWorker(address: string | undefined): Worker {
  try {
    // Bundlers look for exactly these words.
    return address === undefined
      ? new Worker(new URL("./sampler-worker.js", import.meta.url), { type: "module" })
      : new Worker(address, { type: "module" });
  } catch (cause) {
    throw new RuntimeFailure(`the sampler's worker could not be started: ${(cause as Error).message}`, { cause });
  }
}

type Arguments<A extends readonly unknown[]> = A extends [...infer Rest, Call<never>] ? Rest : A;
interface Around {
  readonly signal?: AbortSignal | undefined;
  readonly tell?: (event: unknown) => void;
}
interface Waiting {
  readonly tell: ((event: unknown) => void) | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** The page's side of the conversation with the worker. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #failure: RuntimeFailure | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: { readonly data: Answer }) => this.#answered(data);
    worker.onerror = ({ message, filename }) =>
      this.#fail(
        message
          ? `the sampler's worker stopped: ${message} (${filename})`
          : "the sampler's worker could not be loaded: expected its code at the address that the bundler gave it, or at `worker`",
      );
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if ("event" in answer) {
      waiting?.tell?.(answer.event);
      return;
    }
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(received(answer.error));
    else waiting?.resolve(answer.value);
  }

  #fail(message: string): void {
    this.#failure = new RuntimeFailure(message);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#worker.terminate();
  }

  /** Ends the worker at once. */
  end(): void {
    this.#fail("the sampler was closed");
  }

  /** Calls a function of `work`; the signal's reason is thrown at once, and the worker told to stop. */
  async ask<K extends keyof Work>(
    call: K,
    args: Arguments<Parameters<Work[K]>>,
    { signal, tell }: Around = {},
  ): Promise<Awaited<ReturnType<Work[K]>>> {
    if (this.#failure) throw this.#failure;
    signal?.throwIfAborted();
    this.#last++;
    const id = this.#last;
    let stop: (() => void) | undefined;
    try {
      return await new Promise<Awaited<ReturnType<Work[K]>>>((resolve, reject) => {
        this.#waiting.set(id, { tell, resolve: resolve as (value: unknown) => void, reject });
        stop = () => {
          this.#waiting.delete(id);
          this.#post({ stop: id });
          reject(signal!.reason);
        };
        signal?.addEventListener("abort", stop);
        this.#post({ id, call, args });
      });
    } finally {
      if (stop) signal?.removeEventListener("abort", stop);
    }
  }

  /** What a call tells, as it comes. Leaving the loop stops the call. */
  async *events<E>(
    call: "draw",
    args: Arguments<Parameters<Work["draw"]>>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<E, void, undefined> {
    const left = new AbortController();
    const either = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
    const queue: E[] = [];
    let wake = (): void => undefined;
    let isDone = false;
    const tell = (event: unknown): void => {
      queue.push(event as E);
      wake();
    };
    const done = this.ask(call, args, { signal: either, tell }).finally(() => {
      isDone = true;
      wake();
    });
    done.catch(() => undefined);
    try {
      while (true) {
        while (queue.length > 0) yield queue.shift()!;
        if (isDone) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      await done;
    } finally {
      left.abort();
    }
  }
}
