/**
 * What the engine's thread does with requests, on every platform: it loads models, runs them one after the other, and keeps their
 * state. A platform brings ONNX Runtime and says how a session is opened and where state lies. Speaks with conversation.ts.
 */
import type { InferenceSession, Tensor } from "onnxruntime-common";
import type { DType, NDArray, TypedArrayOf } from "../ndarray.ts";
import { outputName } from "../onnx/writer.ts";

export type Named = readonly (readonly [name: string, value: NDArray])[];

export type Request =
  | {
      readonly kind: "load";
      readonly bytes: Uint8Array;
      readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
      /** Where the files lie that the model refers to and that are not given as data. */
      readonly folder?: string;
      readonly state: Named;
      readonly inPlace: ReadonlySet<string>;
      readonly optimized?: boolean;
      readonly saveTo?: string;
      readonly profile?: string;
    }
  | { readonly kind: "run"; readonly model: number; readonly inputs: Named; readonly outputs: readonly string[] }
  | { readonly kind: "read"; readonly model: number; readonly names: readonly string[] }
  | { readonly kind: "release"; readonly model: number };

export type LoadRequest = Extract<Request, { kind: "load" }>;

/** A request with its number, and its answer with the same number. */
export type Asked = { readonly id: number; readonly request: Request };
export type Reply = { readonly id: number; readonly result?: number | Named; readonly error?: string };

/** Current values of a program's state, and where a run writes the next ones. */
export interface State {
  readonly current: ReadonlyMap<string, Tensor>;
  /** Memory for the next values; null where the engine takes some. */
  readonly next: ReadonlyMap<string, Tensor | null>;
  /** After a run: what it wrote becomes current. `written` gives the value of a state in the run's results. */
  advance(written: (name: string) => Tensor): void;
}

/** What differs from platform to platform. */
export interface Platform {
  readonly tensor: (value: NDArray) => Tensor;
  open(request: LoadRequest): Promise<InferenceSession>;
  /** The state of a program before its first run. */
  stateOf(request: LoadRequest): State;
  /** An error of the engine as a sentence. */
  explain?(error: unknown): string;
}

interface Loaded {
  readonly session: InferenceSession;
  readonly state: State;
  readonly profiled: boolean;
}

const toArray = async (tensor: Tensor): Promise<NDArray> => ({
  dtype: tensor.type as DType,
  shape: [...tensor.dims],
  data: (await tensor.getData(true)) as TypedArrayOf<DType>,
});

const named = (tensors: Iterable<readonly [string, Tensor]>): Promise<Named> =>
  Promise.all([...tensors].map(async ([name, tensor]) => [name, await toArray(tensor)] as const));

/** Answers requests on a platform, one after the other: a session must not run twice at once, and answers keep their order. */
export function answering(platform: Platform, send: (reply: Reply) => void): (asked: Asked) => void {
  const answer = answerer(platform);
  let queue: Promise<void> = Promise.resolve();
  return ({ id, request }) => {
    queue = queue.then(async () => {
      try {
        const result = await answer(request);
        send({ id, ...(result !== undefined && { result }) });
      } catch (error) {
        send({ id, error: platform.explain?.(error) ?? messageOf(error) });
      }
    });
  };
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function answerer(platform: Platform): (request: Request) => Promise<number | Named | undefined> {
  const models = new Map<number, Loaded>();
  let count = 0;

  async function run({ model, inputs, outputs }: Extract<Request, { kind: "run" }>): Promise<Named> {
    const { session, state } = models.get(model)!;
    const feeds: Record<string, Tensor> = Object.fromEntries(
      inputs.map(([name, value]) => [name, platform.tensor(value)]),
    );
    // Models of other programs have names of their own.
    const fetched = (name: string): string =>
      session.outputNames.includes(outputName(name)) ? outputName(name) : name;
    const fetches: Record<string, Tensor | null> = Object.fromEntries(outputs.map((name) => [fetched(name), null]));
    for (const [name, tensor] of state.current) feeds[name] = tensor;
    for (const [name, memory] of state.next) fetches[outputName(name)] = memory;
    const results = await session.run(feeds, fetches);
    state.advance((name) => results[outputName(name)]!);
    return named(outputs.map((name) => [name, results[fetched(name)]!] as const));
  }

  return async (request) => {
    switch (request.kind) {
      case "load": {
        const session = await platform.open(request);
        models.set(count, { session, state: platform.stateOf(request), profiled: request.profile !== undefined });
        return count++;
      }
      case "run":
        return run(request);
      case "read":
        return named(request.names.map((name) => [name, models.get(request.model)!.state.current.get(name)!] as const));
      case "release": {
        const loaded = models.get(request.model);
        models.delete(request.model);
        if (loaded?.profiled) (loaded.session as unknown as { endProfiling(): void }).endProfiling();
        await loaded?.session.release();
        return undefined;
      }
    }
  };
}
