// A guidance of one's own: a function from predictor to predictor. This one asks for pictures that are their own mirror image, beside
// the guidance that the model has. `npx tsx examples/outside/own-guidance.ts`
import { collect, ddim, loadModel, sample } from "guidestar";
import { epsFromX0, type Predictor } from "guidestar/diffusion";

/** Moves the expected picture towards its mirror image: `scale` 0 is off, 1 gives the mean of both. */
const mirrored =
  (scale: number) =>
  (predictor: Predictor): Predictor =>
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
for (const scale of [0, 1]) {
  const options = { labels: ["0", "3", "8"], count: 12, sampler: ddim({ steps: 20 }), guides: [mirrored(scale)] };
  const { data } = await collect(sample(model, options));
  const apart = data.reduce((sum, value, i) => sum + Math.abs(value - data[i - 2 * (i % 28) + 27]!), 0) / data.length;
  console.log(`scale ${scale}: pictures and their mirror images differ by ${apart.toFixed(3)}`);
}
