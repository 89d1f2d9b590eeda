/**
 * Guidestar: train, guide and sample class-conditional diffusion models.
 *
 * The few lines that most people write need `loadModel`, `sample` and `collect`; or `openDataset` and `trainDenoiser`. Below
 * them is everything those are made of: traced functions, networks, the diffusion process, guidance and samplers.
 */

export { animationGif } from "./images/animation.ts";
export { type DecodeOptions, decodeImage, fitImage, type ImageDecoder } from "./images/decode.ts";
export * from "./public/everywhere.ts";
export * from "./public/node.ts";
