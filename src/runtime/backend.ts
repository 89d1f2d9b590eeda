// So that AsyncDisposable has a type in projects whose `lib` is older.
/// <reference lib="esnext.disposable" preserve="true" />
import type { NDArray } from "../ndarray.ts";
import type { OnnxModel } from "../onnx/writer.ts";

/** Where programs run. */
export type Device = "cpu" | "webgpu";

/** Settings of `openBackend`. */
export interface BackendOptions {
  /** Default "cpu". */
  readonly device?: Device;
  /** Threads within one operator; by default one per core. */
  readonly threads?: number;
  /**
   * Where compiled programs are kept from one start to the next, and how many bytes they may take; by default up to 5 GB in the
   * user's cache folder, or what GUIDESTAR_PROGRAM_CACHE says: megabytes, or "off".
   */
  readonly programs?: "none" | { readonly folder?: string; readonly limit?: number };
}

/** How a backend is to load a model. */
export interface LoadOptions {
  /** Initial values of inputs that the backend keeps: after each run an input takes the value of the output with its name. */
  readonly state: ReadonlyMap<string, NDArray>;
  /** Of these, the ones whose next value may be written over the present one; the others are kept twice. */
  readonly inPlace: ReadonlySet<string>;
  /** The model is one that this engine has optimized before. */
  readonly optimized?: boolean;
  /** Folder to which the engine writes the model once it has optimized it, if it can: `modelFile`, and its weights as `weightsFile`. */
  readonly saveTo?: string;
  /** Prefix of the JSON file in which the runtime's profile is written when the program is disposed. */
  readonly profile?: string;
}

/**
 * A compiled model inside a backend. Values go in and come out by flat name, which is the name of an input in the ONNX model; an
 * output is called `outputName(name)` there.
 */
export interface LoadedModel extends AsyncDisposable {
  /** Runs the model once. Gives the outputs that are named, and updates the state. */
  run(inputs: ReadonlyMap<string, NDArray>, outputs: readonly string[]): Promise<Map<string, NDArray>>;
  /** Values of the states that are named, as they are now. */
  readState(names: readonly string[]): Promise<Map<string, NDArray>>;
}

/** Names of the files in `LoadOptions.saveTo`; there are no weights where each is small. */
export const modelFile = "model.onnx";
export const weightsFile = "weights";

/** A program from an earlier start. */
export interface KeptProgram {
  /** The model as the engine optimized it, and packed its weights. */
  readonly model: OnnxModel;
  readonly inPlace: ReadonlySet<string>;
}

/** The place of one program among those that are kept. Nothing here throws: what cannot be kept or read is compiled again. */
export interface ProgramSlot {
  /** Undefined where there is none, or it is damaged. */
  read(): Promise<KeptProgram | undefined>;
  /** A new folder for `LoadOptions.saveTo`; undefined where there is no room for one. */
  makeFolder(): Promise<string | undefined>;
  /** Keeps what the engine wrote to that folder, which is gone then. */
  keep(folder: string, inPlace: ReadonlySet<string>): Promise<void>;
  /** Removes that folder. */
  discard(folder: string): Promise<void>;
}

/** Programs that outlive the process. */
export interface ProgramCache {
  /**
   * Undefined where there is no room.
   *
   * @param identity everything that the program depends on, apart from the engine and the machine
   * @param size bytes of its weights
   */
  slot(identity: Iterable<string | Uint8Array>, size: number): ProgramSlot | undefined;
}

/** Something that runs ONNX models. Disposing it frees every model it loaded. */
export interface Backend extends AsyncDisposable {
  /** Where it runs. */
  readonly device: Device;
  /** Where compiled programs are kept from one start to the next, if anywhere. */
  readonly programs?: ProgramCache;
  /** Loads a model. Throws RuntimeFailure where the engine cannot. */
  load(model: OnnxModel, options: LoadOptions): Promise<LoadedModel>;
}
