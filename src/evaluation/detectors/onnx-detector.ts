import { DataError, ModelError } from "../../errors.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { messageOf } from "../../one-line.ts";
import type { Backend } from "../../runtime/backend.ts";
import { runInBatches } from "../../runtime/batches.ts";
import { compile } from "../../runtime/compile.ts";
import { show } from "../../tensor/shape.ts";
import { f32, trace } from "../../tensor/trace.ts";
import { type DetectorDeclaration, preprocess } from "./declaration.ts";
import type { Detector, Observation } from "./detector.ts";

/** A network of an ONNX file as a detector. */
export interface OnnxDetectorOptions {
  /** For reports. */
  readonly name: string;
  /** The ONNX file. */
  readonly bytes: Uint8Array;
  /** What the file takes and gives, from `parseDeclaration`. */
  readonly declaration: DetectorDeclaration;
  /** [C, H, W] of the images that will come. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Where it runs. */
  readonly backend: Backend;
}

/**
 * A detector of an ONNX file, of any program. It is tried on grey images once, so that what does not fit is found first.
 *
 * @throws ModelError where the file cannot be loaded, or its inputs and outputs are not as declared
 */
export async function onnxDetector(options: OnnxDetectorOptions): Promise<Detector> {
  const { name, declaration, imageShape } = options;
  const { batchSize } = declaration;
  const { see, dispose } = await openNetwork(options);
  const tried = await see(float32([batchSize, ...imageShape])).catch(async (error) => {
    await dispose();
    throw error;
  });
  const width = tried.features!.shape[1]!;
  return {
    name,
    width,
    imageShape,
    ...(declaration.classes && { classes: declaration.classes }),
    async observe(images) {
      const { shape } = images;
      if (show(shape.slice(1)) !== show(imageShape))
        throw new DataError(`${name} was opened for images ${show(imageShape)} but ${show(shape.slice(1))} came`);
      const { logits, ...seen } = await runInBatches(images, batchSize, see);
      const probabilities = logits && float32(logits.shape, softmaxRows(logits.data, logits.shape[1]!));
      return { ...(probabilities && { probabilities }), ...(seen as Observation & typeof seen) };
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface OpenNetwork {
  /** One batch, filled up; rows [batchSize, ...] of each output, flat. */
  see(x: NDArray<"float32">): Promise<Record<string, NDArray<"float32">>>;
  dispose(): Promise<void>;
}

/** The network of an ONNX file behind a program that makes its input of images [batchSize, C, H, W]. */
async function openNetwork({
  name,
  bytes,
  declaration,
  imageShape,
  backend,
}: OnnxDetectorOptions): Promise<OpenNetwork> {
  const { batchSize, input } = declaration;
  const outputs = (["features", "spatial", "logits", "probabilities"] as const).flatMap((key) => {
    const output = declaration[key];
    return output === undefined ? [] : [[key, output] as const];
  });
  const failed = (cause: unknown): never => {
    throw new ModelError(
      `${name}: cannot be run as declared: ${messageOf(cause)}; check the file, and "input", "size", "channels", "layout", "batchSize" and the names of outputs in its declaration`,
      { cause },
    );
  };
  const graph = trace({ x: f32(batchSize, ...imageShape) }, ({ x }) => ({ y: preprocess(x, declaration) }));
  const network = await backend
    .load({ bytes, externalData: [] }, { state: new Map(), inPlace: new Set() })
    .catch(failed);
  const prepare = await compile(graph, backend);
  const dispose = async (): Promise<void> => {
    await prepare[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  };

  const see: OpenNetwork["see"] = async (x) => {
    const { y } = await prepare.run({ x });
    const results = await network
      .run(
        new Map([[input, y]]),
        outputs.map(([, output]) => output),
      )
      .catch(failed);
    return Object.fromEntries(
      outputs.map(([key, output]) => {
        const { dtype, shape, data } = results.get(output)!;
        if (dtype !== "float32" || shape[0] !== batchSize)
          throw new ModelError(
            `${name}: expected its output "${output}" as float32 [${batchSize}, ...] but it is ${dtype} ${show(shape)}; check "batchSize" in its declaration`,
          );
        return [key, float32([batchSize, data.length / batchSize], data as Float32Array)];
      }),
    );
  };
  return { see, dispose };
}

/** exp(x) / sum exp(x) of each row. */
function softmaxRows(logits: Float32Array, columns: number): Float32Array {
  const result = new Float32Array(logits.length);
  for (let at = 0; at < logits.length; at += columns) {
    const row = logits.subarray(at, at + columns);
    const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const exps = row.map((value) => Math.exp(value - largest));
    const sum = exps.reduce((total, value) => total + value, 0);
    result.set(
      exps.map((value) => value / sum),
      at,
    );
  }
  return result;
}
