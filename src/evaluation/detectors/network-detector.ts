import type { Weights } from "../../checkpoint/model.ts";
import { ShapeError } from "../../errors.ts";
import type { Backend } from "../../runtime/backend.ts";
import { runInBatches } from "../../runtime/batches.ts";
import { compile } from "../../runtime/compile.ts";
import { show } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { f32, trace } from "../../tensor/trace.ts";
import type { Detector } from "./detector.ts";

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
  readonly batchSize?: number;
}

/** A detector of a network of ours: one program, run for each batch. Its `observe` throws ShapeError for images of another shape. */
export async function networkDetector({
  network,
  weights,
  backend,
  batchSize = 50,
  ...about
}: NetworkDetectorOptions): Promise<Detector> {
  const { name, imageShape } = about;
  const graph = trace(
    {
      parameters: Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, f32(...shape)])),
      x: f32(batchSize, ...imageShape),
    },
    ({ parameters, x }) => {
      const { features, spatial, logits } = network(parameters, x);
      return { features, spatial: spatial.reshape(batchSize, -1), probabilities: logits.softmax() };
    },
  );
  const program = await compile(graph, backend, { bind: { parameters: weights } });
  return {
    ...about,
    width: graph.outputs.get("features")!.shape[1]!,
    async observe(images) {
      if (show(images.shape.slice(1)) !== show(imageShape))
        throw new ShapeError(`${name} looks at images [N, ${imageShape.join(", ")}] but ${show(images.shape)} came`);
      return runInBatches(images, batchSize, (x) => program.run({ x }));
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
