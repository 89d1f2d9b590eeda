import type { Shape } from "../../ndarray.ts";
import { type Network, parameterShapes } from "../../nn/module.ts";
import { countFlops } from "../../tensor/cost.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { f32, input } from "../../tensor/trace.ts";

/**
 * Operations that training takes for one image: of `apply`, from parameters, x [1, C, H, W] and t [1], three times over, for gradients
 * cost two more.
 */
export function trainingFlops(
  network: Network,
  imageShape: Shape,
  apply: (parameters: Record<string, Tensor>, x: Tensor, t: Tensor) => Tensor,
): number {
  const shapes = Object.entries(parameterShapes(network));
  const parameters = Object.fromEntries(shapes.map(([name, shape]) => [name, input(name, f32(...shape))]));
  return 3 * countFlops([apply(parameters, input("x", f32(1, ...imageShape)), input("t", f32(1)))]);
}
