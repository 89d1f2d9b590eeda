// Trace a function, differentiate it, look at the graph, run it. `npx tsx examples/01-gradient.ts`
// Fits y = x w by gradient descent. Outside this repository, import from "guidestar/node" and "guidestar/tensor".
import { openBackend } from "guidestar/node";
import { compile, f32, float32, format, gradients, normals, trace } from "guidestar/tensor";

// Tensors are symbolic here: nothing is computed, every shape is checked.
const graph = trace({ x: f32(64, 3), y: f32(64, 1), w: f32(3, 1) }, ({ x, y, w }) => {
  const loss = x.matmul(w).sub(y).square().mean();
  const slope = gradients(loss, { w }).w;
  return { loss, w: w.sub(slope.mul(0.1)) };
});
console.log(format(graph));

const truth = [2, -1, 0.5];
const x = float32([64, 3], normals(0, 0, 64 * 3));
const y = float32(
  [64, 1],
  Array.from({ length: 64 }, (_, i) => truth.reduce((sum, w, j) => sum + w * x.data[3 * i + j]!, 0)),
);

// As state, w is an input that takes the value of the output with its name after every run.
await using backend = await openBackend();
await using program = await compile(graph, backend, { state: { w: float32([3, 1]) } });
for (let step = 1; step <= 100; step++) {
  const { loss } = await program.run({ x, y });
  if (step % 20 === 0) console.log(`step ${step}  loss ${loss.data[0]!.toExponential(1)}`);
}
const { w } = await program.readState();
console.log(`w = ${Array.from(w.data, (value) => value.toFixed(3)).join(", ")}`);
