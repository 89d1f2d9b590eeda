import { createSampler, imageDataOf } from "guidestar/web";

// The folders models/digits and onnxruntime-web lie in the project's public/.
const sampler = await createSampler({ model: "models/digits/" });
const canvas = document.querySelector("canvas");
const [, height, width] = sampler.model.imageShape;
Object.assign(canvas, { width, height });
for await (const { step, steps, pictures } of sampler.draw({ labels: ["3"], seeds: [7] })) {
  canvas.getContext("2d").putImageData(imageDataOf(pictures[0]), 0, 0);
  if (step === steps) console.log(`drawn in ${steps} steps`);
}
