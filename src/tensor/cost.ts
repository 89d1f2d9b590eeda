import { sizeOf } from "../ndarray.ts";
import { topological } from "./gradient.ts";
import type { AnyTensor } from "./tensor.ts";

/**
 * Floating-point operations of the convolutions and matrix products, forward and backward, that `outputs` need: two per
 * multiply-add. Everything else is left out. A graph's are `countFlops([...graph.outputs.values()])`.
 */
export const countFlops = (outputs: readonly AnyTensor[]): number =>
  topological(outputs).reduce((sum, tensor) => sum + 2 * multiplyAdds(tensor), 0);

function multiplyAdds({ node, size }: AnyTensor): number {
  const [a, b] = node.inputs;
  switch (node.op) {
    case "matmul":
      return size * a!.shape.at(-1)!;
    case "conv2d":
      return size * sizeOf(b!.shape.slice(1)); // b: weight
    case "conv2dInputGradient":
      return a!.size * sizeOf(b!.shape.slice(1)); // a: cotangent, b: weight
    case "conv2dWeightGradient":
      return b!.size * sizeOf([a!.shape[1]!, ...node.attributes.kernel]); // a: x, b: cotangent
    default:
      return 0;
  }
}
