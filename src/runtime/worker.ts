/**
 * Runs inside a worker thread: onnxruntime-node's `run` blocks its event loop, so it must not be the main one.
 * Speaks `Request` and `Response` with node.ts; state of programs never leaves this thread unless asked for.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import type { DType, NDArray, TypedArrayOf } from "../ndarray.ts";
import { outputName } from "../onnx/writer.ts";
import { type Device, modelFile, weightsFile } from "./backend.ts";

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

type LoadRequest = Extract<Request, { kind: "load" }>;

export interface Settings {
  readonly device: Device;
  readonly threads: number;
}

interface Loaded {
  readonly session: ort.InferenceSession;
  /** Current values of the state, and the memory that the next ones are written to, which may be the same. */
  current: Map<string, ort.Tensor>;
  spare: Map<string, ort.Tensor>;
  readonly profiled: boolean;
}

const port = parentPort!;
const { device, threads } = workerData as Settings;
const models = new Map<number, Loaded>();
let count = 0;

const toTensor = ({ dtype, shape, data }: NDArray): ort.Tensor =>
  new ort.Tensor(dtype, data as Float32Array, shape as number[]);
const copyOf = (value: NDArray): NDArray => ({ ...value, data: value.data.slice() }) as NDArray;
const toArray = (tensor: ort.Tensor): NDArray => ({
  dtype: tensor.type as DType,
  shape: [...tensor.dims],
  data: tensor.data as TypedArrayOf<DType>,
});

async function open(request: LoadRequest, saveTo?: string): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(request.bytes, {
    executionProviders: [device],
    externalData: request.externalData,
    graphOptimizationLevel: request.optimized ? "disabled" : "all",
    ...(saveTo !== undefined && { optimizedModelFilePath: join(saveTo, modelFile) }),
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Memory planned for one shape costs nothing in time when left off, and halves the peak of a training step.
    enableMemPattern: false,
    // An arena keeps what it once took: good for the same step again and again, but a training step's tensors of many sizes break it up.
    enableCpuMemArena: request.state.length === 0,
    logSeverityLevel: 3,
    extra: {
      session: {
        set_denormal_as_zero: "1",
        ...(request.folder !== undefined && { model_external_initializers_file_folder_path: request.folder }),
        ...(saveTo !== undefined && {
          optimized_model_external_initializers_file_name: weightsFile,
          // Lists of sizes must stay in the model, where its shapes are inferred.
          optimized_model_external_initializers_min_size_in_bytes: "65536",
        }),
      },
    },
    ...(request.profile ? { enableProfiling: true, profileFilePrefix: request.profile } : {}),
  });
}

async function load(request: LoadRequest): Promise<number> {
  // Where the model cannot be written, it runs all the same; where it is wrong, the second error is the same one.
  const { saveTo } = request;
  const session = await (saveTo === undefined
    ? open(request)
    : open(request, saveTo).catch(async () => {
        await rm(saveTo, { recursive: true, force: true });
        return open(request);
      }));
  // What came in the message is a copy already, but two states may have come as one array, and each needs memory of its own.
  const taken = new Set<unknown>();
  const current = new Map(
    request.state.map(([name, value]) => {
      const own = taken.has(value.data) ? copyOf(value) : value;
      taken.add(value.data);
      return [name, toTensor(own)];
    }),
  );
  const spare = new Map(
    request.state.map(([name, value]) => [
      name,
      request.inPlace.has(name) ? current.get(name)! : toTensor(copyOf(value)),
    ]),
  );
  models.set(count, {
    session,
    current,
    spare,
    profiled: request.profile !== undefined,
  });
  return count++;
}

async function run({ model, inputs, outputs }: Extract<Request, { kind: "run" }>): Promise<Named> {
  const loaded = models.get(model)!;
  const feeds: Record<string, ort.Tensor> = Object.fromEntries(inputs.map(([name, value]) => [name, toTensor(value)]));
  // Models of other programs have names of their own.
  const fetched = (name: string): string =>
    loaded.session.outputNames.includes(outputName(name)) ? outputName(name) : name;
  const fetches: Record<string, ort.Tensor | null> = Object.fromEntries(outputs.map((name) => [fetched(name), null]));
  for (const [name, tensor] of loaded.current) feeds[name] = tensor;
  for (const [name, tensor] of loaded.spare) fetches[outputName(name)] = tensor;
  const results = await loaded.session.run(feeds, fetches as never);
  [loaded.current, loaded.spare] = [loaded.spare, loaded.current];
  return outputs.map((name) => [name, toArray(results[fetched(name)]!)]);
}

async function release(model: number): Promise<void> {
  const loaded = models.get(model);
  models.delete(model);
  if (loaded?.profiled) (loaded.session as unknown as { endProfiling(): void }).endProfiling();
  await loaded?.session.release();
}

const answer = (request: Request): Promise<number | Named | undefined> | Named => {
  switch (request.kind) {
    case "load":
      return load(request);
    case "run":
      return run(request);
    case "read":
      return request.names.map((name) => [name, toArray(models.get(request.model)!.current.get(name)!)]);
    case "release":
      return release(request.model).then(() => undefined);
  }
};

// One after the other: a session must not run twice at once, and answers keep their order.
let queue: Promise<void> = Promise.resolve();
port.on("message", ({ id, request }: { id: number; request: Request }) => {
  queue = queue.then(async () => {
    try {
      port.postMessage({ id, result: await answer(request) });
    } catch (error) {
      port.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});
