// Draws two digits with the bundled model, steered by classifier-free guidance. `npx tsx examples/03-digits.ts digits.png`
import { writeFile } from "node:fs/promises";
import { ddim, encodePng, grid, loadModel, sample, toUint8 } from "guidestar";

const model = await loadModel("digits");
const drawing = sample(model, {
  labels: ["3", "7"],
  seeds: [0, 1],
  sampler: ddim({ steps: 25 }),
  guidance: { cfgScale: 2 },
});
for await (const { step, steps, x } of drawing) {
  console.log(`${step}/${steps}`);
  if (step === steps) await writeFile(process.argv[2] ?? "digits.png", encodePng(grid(toUint8(x))));
}
