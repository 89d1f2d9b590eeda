/**
 * Runs inside a worker thread of Node: onnxruntime-node's `run` blocks its event loop, so it must not be the main one.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import type { NDArray } from "../ndarray.ts";
import { type Device, modelFile, weightsFile } from "./backend.ts";
import { answering, type LoadRequest, type State } from "./programs.ts";

export interface Settings {
  readonly device: Device;
  readonly threads: number;
}

const port = parentPort!;
const { device, threads } = workerData as Settings;

const tensor = ({ dtype, shape, data }: NDArray): ort.Tensor =>
  new ort.Tensor(dtype, data as Float32Array, shape as number[]);
const copyOf = (value: NDArray): NDArray => ({ ...value, data: value.data.slice() }) as NDArray;

async function openWith(request: LoadRequest, saveTo?: string): Promise<ort.InferenceSession> {
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

/** Where the model cannot be written, it runs all the same; where it is wrong, the second error is the same one. */
async function open(request: LoadRequest): Promise<ort.InferenceSession> {
  const { saveTo } = request;
  if (saveTo === undefined) return openWith(request);
  return openWith(request, saveTo).catch(async () => {
    await rm(saveTo, { recursive: true, force: true });
    return openWith(request);
  });
}

/** State that is written over, or is there twice and changes places: no memory is taken between runs. */
function stateOf(request: LoadRequest): State {
  // What came in the message is a copy already, but two states may have come as one array, and each needs memory of its own.
  const taken = new Set<unknown>();
  let current = new Map(
    request.state.map(([name, value]) => {
      const own = taken.has(value.data) ? copyOf(value) : value;
      taken.add(value.data);
      return [name, tensor(own)];
    }),
  );
  let next = new Map(
    request.state.map(([name, value]) => [
      name,
      request.inPlace.has(name) ? current.get(name)! : tensor(copyOf(value)),
    ]),
  );
  return {
    get current() {
      return current;
    },
    get next() {
      return next;
    },
    advance() {
      [current, next] = [next, current];
    },
  };
}

port.on(
  "message",
  answering({ tensor, open, stateOf }, (reply) => port.postMessage(reply)),
);
