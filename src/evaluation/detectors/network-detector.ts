import type { Weights } from "../../checkpoint/model.ts";
import { ShapeError } from "../../errors.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { compile } from "../../runtime/compile.ts";
import { show } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { f32, trace } from "../../tensor/trace.ts";
import type { Detector, Observation } from "./detector.ts";

/** A network that sees features in images x [N, C, H, W]. */
export type FeatureNetwork = (
  parameters: Readonly<Record<string, Tensor>>,
  x: Tensor,
) => {
  /** [N, D]. */
  readonly features: Tensor;
  /** [N, ...]. */
  readonly spatial: Tensor;
  /** [N, K]. */
  readonly logits: Tensor;
};

/** A network of this library as a detector. */
export interface NetworkDetectorOptions extends Pick<Detector, "name" | "classes"> {
  /** [C, H, W] of the images that will come. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** What sees the features. */
  readonly network: FeatureNetwork;
  /** Values of its parameters, by state-dict key. */
  readonly weights: Weights;
  /** Where it runs. */
  readonly backend: Backend;
  /** Most images at a time; the features don't depend on it. Default 50. */
  readonly batch?: number;
}

/** A detector of a network of ours: one program, run for each batch. Its `observe` throws ShapeError for images of another shape. */
export async function networkDetector({
  network,
  weights,
  backend,
  batch = 50,
  ...about
}: NetworkDetectorOptions): Promise<Detector> {
  const { name, imageShape } = about;
  const graph = trace(
    {
      parameters: Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, f32(...shape)])),
      x: f32(batch, ...imageShape),
    },
    ({ parameters, x }) => {
      const { features, spatial, logits } = network(parameters, x);
      return { features, spatial: spatial.reshape(batch, -1), probabilities: logits.softmax() };
    },
  );
  const program = await compile(graph, backend, { bind: { parameters: weights } });
  const pixels = sizeOf(imageShape);
  return {
    ...about,
    width: graph.outputs.get("features")!.shape[1]!,
    async observe({ shape, data }) {
      const count = shape[0] ?? 0;
      if (show(shape) !== show([count, ...imageShape]))
        throw new ShapeError(`${name} looks at images [N, ${imageShape.join(", ")}] but ${show(shape)} came`);
      const seen: { [K in keyof Observation]-?: NDArray<"float32">[] } = {
        features: [],
        spatial: [],
        probabilities: [],
      };
      for (let start = 0; start < count; start += batch) {
        const part = data.subarray(start * pixels, (start + batch) * pixels);
        const x = new Float32Array(batch * pixels); // the last batch may be filled by black images, whose features are dropped
        x.set(part);
        const result = await program.run({ x: float32([batch, ...imageShape], x) });
        for (const key of ["features", "spatial", "probabilities"] as const) seen[key].push(result[key]);
      }
      const all = (key: keyof Observation): NDArray<"float32"> =>
        firstRows(seen[key], count, graph.outputs.get(key)!.shape[1]!);
      return { features: all("features"), spatial: all("spatial"), probabilities: all("probabilities") };
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** The first `count` rows of matrices below each other. */
function firstRows(parts: readonly NDArray<"float32">[], count: number, width: number): NDArray<"float32"> {
  const shape: Shape = [count, width];
  const rows = new Float32Array(count * width);
  let at = 0;
  for (const { data } of parts) {
    rows.set(data.subarray(0, rows.length - at), at);
    at += data.length;
  }
  return float32(shape, rows);
}
