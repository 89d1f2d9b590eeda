/**
 * Guidestar: train, guide and sample class-conditional diffusion models.
 *
 * The few lines that most people write need `loadModel`, `sample` and `collect`; or `openDataset` and `trainDenoiser`. Below
 * them is everything those are made of: traced functions, networks, the diffusion process, guidance and samplers.
 */

export { animationGif, decodeImage } from "./images/decode.ts";
export * from "./public/everywhere.ts";
export * from "./public/node.ts";
