import type { Graph } from "../tensor/trace.ts";
import { type EmitOptions, emit } from "./emit.ts";
import { lower } from "./lower.ts";
import type { OnnxModel } from "./writer.ts";

/** A protobuf must stay below 2 GiB; this leaves room for everything that is not weights. */
const mostWeights = 2 ** 31 - 2 ** 26;

/**
 * A graph that stands alone, as `exportGraph` makes it, as ONNX, of standard operators alone. Weights of more than `most` bytes in all are to lie one after the other in a file
 * beside the model's own, which is named like it with ".data" at the end.
 */
export function onnxFile(
  { graph, bound, metadata }: { readonly graph: Graph } & Required<Pick<EmitOptions, "bound" | "metadata">>,
  fileName: string,
  most = mostWeights,
): OnnxModel {
  let size = 0;
  for (const { data } of bound.values()) size += data.byteLength;
  return emit(lower(graph), {
    bound,
    metadata,
    weights: size > most ? { file: `${fileName}.data` } : "inside",
    nameOutput: (name) => name,
  });
}
