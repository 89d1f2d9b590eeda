import type { NDArray } from "../ndarray.ts";
import type { OnnxModel } from "../onnx/writer.ts";

/** Where programs run. */
export type Device = "cpu" | "webgpu";

export interface BackendOptions {
  /** Default "cpu". */
  readonly device?: Device;
  /** Threads within one operator; by default one per core. */
  readonly threads?: number;
}

export interface LoadOptions {
  /** Initial values of inputs that the backend keeps: after each run an input takes the value of the output with its name. */
  readonly state: ReadonlyMap<string, NDArray>;
  /** Of these, the ones whose next value may be written over the present one; the others are kept twice. */
  readonly inPlace: ReadonlySet<string>;
  /** Prefix of the JSON file in which the runtime's profile is written when the program is disposed. */
  readonly profile?: string;
}

/** A compiled model inside a backend. Values go in and come out by flat name. */
export interface LoadedModel extends AsyncDisposable {
  run(inputs: ReadonlyMap<string, NDArray>, outputs: readonly string[]): Promise<Map<string, NDArray>>;
  readState(names: readonly string[]): Promise<Map<string, NDArray>>;
}

/** Something that runs ONNX models. Disposing it frees every model it loaded. */
export interface Backend extends AsyncDisposable {
  readonly device: Device;
  load(model: OnnxModel, options: LoadOptions): Promise<LoadedModel>;
}
