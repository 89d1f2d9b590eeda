export { adaGN } from "../nn/ada-gn.ts";
export { attentionBlock, attentionPool } from "../nn/attention.ts";
export { groupNorm } from "../nn/group-norm.ts";
export { initialize } from "../nn/initialize.ts";
export { embedding, linear, sequential, silu } from "../nn/layers.ts";
export { countParameters, type Module, module, parameter, parameterShapes, zeroInit } from "../nn/module.ts";
export { timestepEmbedding } from "../nn/timestep-embedding.ts";
