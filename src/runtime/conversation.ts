import { RuntimeFailure } from "../errors.ts";
import type { Backend, LoadedModel } from "./backend.ts";
import type { Asked, Named, Reply, Request } from "./programs.ts";

/** A worker thread, on whatever platform it is. */
export interface Thread {
  /** Throws where a value is none that can be sent. */
  post(asked: Asked): void;
  terminate(): Promise<unknown>;
  /** Whether an answer is awaited: where threads keep a process alive, it must stay until then. */
  hold?(isAwaited: boolean): void;
}

/** Requests to the engine's thread, and its answers, which come in order. */
export class Conversation {
  readonly #thread: Thread;
  readonly #explain: (error: string) => string;
  readonly #pending = new Map<number, { resolve(result: Reply["result"]): void; reject(error: Error): void }>();
  #failure: Error | undefined;
  #count = 0;

  /** @param explain makes a sentence of what the engine says */
  constructor(thread: Thread, explain: (error: string) => string) {
    this.#thread = thread;
    this.#explain = explain;
  }

  /** To be called with each answer of the thread. */
  answered({ id, result, error }: Reply): void {
    const waiting = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#thread.hold?.(false);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new RuntimeFailure(this.#explain(error)));
  }

  /** To be called where the thread has ended: nothing is answered from then on. */
  failed(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#thread.hold?.(false);
  }

  get ended(): boolean {
    return this.#failure !== undefined;
  }

  ask(request: Request): Promise<Reply["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#thread.post({ id: this.#count, request });
      this.#thread.hold?.(true);
      this.#pending.set(this.#count++, { resolve, reject });
    });
  }

  /** Ending a thread of Node while it loads the engine or runs a program would abort the process: a last request is answered before. */
  async end(): Promise<void> {
    if (this.#failure) return;
    const last = this.ask({ kind: "read", model: -1, names: [] }).catch(() => undefined);
    this.#failure = closed();
    await last;
    await this.#thread.terminate();
  }
}

export const closed = (): RuntimeFailure => new RuntimeFailure("the engine is closed");

/** What a backend does by asking its thread: all but what it is. */
export const backendOf = (
  thread: Conversation,
  askToLoad: (...model: Parameters<Backend["load"]>) => Promise<number>,
): Pick<Backend, "load" | typeof Symbol.asyncDispose> => ({
  async load(onnx, options): Promise<LoadedModel> {
    const model = await askToLoad(onnx, options);
    return {
      run: async (inputs, outputs) =>
        new Map((await thread.ask({ kind: "run", model, inputs: [...inputs], outputs })) as Named),
      readState: async (names) => new Map((await thread.ask({ kind: "read", model, names })) as Named),
      [Symbol.asyncDispose]: async () => {
        if (!thread.ended) await thread.ask({ kind: "release", model });
      },
    };
  },
  [Symbol.asyncDispose]: () => thread.end(),
});
