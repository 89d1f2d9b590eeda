import type { Tensor } from "../tensor/tensor.ts";
import { linear, silu } from "./layers.ts";
import { module, zeroInit } from "./module.ts";
import { timestepEmbedding } from "./timestep-embedding.ts";

/** A scale of guidance counts as this many timesteps, so that the fastest of the embedding's waves tells scales a tenth apart. */
const timestepsPerScale = 25;

/**
 * Learned embedding of the scale of guidance, float32 [N] -> [N, width], by waves as that of the timestep (section 3, Meng et al.
 * 2023). Zero at first, so that a student begins as its teacher.
 *
 * @param waves sines and cosines that a scale is told by
 */
export const scaleEmbedding = (waves: number, width: number) =>
  module({ 0: linear(waves, width), 2: zeroInit(linear(width, width)) }, (layers, scale: Tensor) =>
    layers[2](silu(layers[0](timestepEmbedding(scale.mul(timestepsPerScale), waves)))),
  );
