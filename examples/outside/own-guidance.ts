// A guidance of one's own: a function from predictor to predictor. This one asks for pictures that are their own mirror image.
// `npx tsx examples/outside/own-guidance.ts`
import { collect, ddim, loadModel, openBackend } from "guidestar";
import { denoiserPredictor, draw, epsFromX0, type Predictor } from "guidestar/diffusion";
import { denoiserNetwork } from "guidestar/models";

/** Moves the expected picture towards its mirror image: `scale` 0 is off, 1 gives the mean of both. */
const mirrored =
  (predictor: Predictor, scale: number): Predictor =>
  (xt, c, condition) => {
    const prediction = predictor(xt, c, condition);
    const towards = prediction.x0
      .flip(3)
      .sub(prediction.x0)
      .mul(scale / 2);
    const x0 = prediction.x0.add(towards);
    return { ...prediction, x0, eps: epsFromX0(xt, x0, c) };
  };

const model = await loadModel("digits");
const { process, ...description } = model.denoiser!;
const network = denoiserNetwork(description);
await using backend = await openBackend();

for (const scale of [0, 1]) {
  const drawing = draw({
    weights: model.weights.denoiser!,
    predictor: (weights) => mirrored(denoiserPredictor(network.withParameters(weights), process), scale),
    ...{ process, sampler: ddim({ steps: 20 }), shape: model.imageShape, labels: [0, 3, 8], count: 12, backend },
  });
  const { data } = await collect(drawing);
  const apart = data.reduce((sum, value, i) => sum + Math.abs(value - data[i - 2 * (i % 28) + 27]!), 0) / data.length;
  console.log(`scale ${scale}: pictures and their mirror images differ by ${apart.toFixed(3)}`);
}
