/**
 * Layers and networks. A network is a function of its parameters and inputs, made by `module` of named children; the names, joined by
 * ".", are the keys of its weights, as in a PyTorch state dict.
 *
 * ```ts
 * import { countParameters, initialize, linear, module } from "guidestar/nn";
 * import { f32, trace } from "guidestar/tensor";
 *
 * const mlp = module({ inner: linear(2, 16), outer: linear(16, 1) }, ({ inner, outer }, x) => outer(inner(x).silu()));
 *
 * const weights = initialize(mlp, 0);
 * console.log(Object.keys(weights).join(" ")); // inner.weight inner.bias outer.weight outer.bias
 * console.log(countParameters(mlp)); // 65
 *
 * const params = Object.fromEntries(Object.entries(weights).map(([name, { shape }]) => [name, f32(...shape)]));
 * const graph = trace({ params, x: f32(8, 2) }, ({ params, x }) => ({ y: mlp(params, x) }));
 * console.log(graph.outputs.get("y").shape.join(" ")); // 8 1
 * ```
 *
 * @module guidestar/nn
 */

export { adaGN } from "../nn/ada-gn.ts";
export { attentionBlock, attentionPool } from "../nn/attention.ts";
export { groupNorm } from "../nn/group-norm.ts";
export { initialize } from "../nn/initialize.ts";
export { layerNorm } from "../nn/layer-norm.ts";
export { conv2d, embedding, gelu, identity, linear, linearMap, pointwise, sequential, silu } from "../nn/layers.ts";
export {
  type Bound,
  type Child,
  type Children,
  countParameters,
  type Initialization,
  type Module,
  module,
  type Network,
  type Parameter,
  type Parameters,
  parameter,
  parameterShapes,
  zeroInit,
} from "../nn/module.ts";
export { depthToSpace, spaceToDepth } from "../nn/space-to-depth.ts";
export { timestepEmbedding } from "../nn/timestep-embedding.ts";
