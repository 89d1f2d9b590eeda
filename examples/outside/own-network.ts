// A network of one's own, from the outside. A family is a value: what its networks take and give, and how they are built. Registered, it
// trains, is saved, loads, samples and exports as those of the package do. `npx tsx examples/outside/own-network.ts FOLDER`
import { collect, ddim, loadModel, openBackend, sample, saveModel, trainDenoiser, trained } from "guidestar";
import { type DenoiserFamily, type DenoiserInputs, registerFamily } from "guidestar/models";
import { embedding, initialize, linear, module, timestepEmbedding } from "guidestar/nn";
import { float32, int32, normals, type Tensor } from "guidestar/tensor";

type Config = { readonly side: number; readonly width: number };

const mlp: DenoiserFamily<Config> = {
  role: "denoiser",
  kind: "mlp",
  schema: { safeParse: (value) => ({ success: true, data: value as Config }) }, // a schema of zod would check it
  signature: ({ side }) => ({ imageShape: [1, side, side], outChannels: 1, classes: 2 }),
  build: ({ side, width }) =>
    module(
      { time: linear(32, width), label: embedding(2, width), first: linear(side ** 2, width), last: linear(width, side ** 2) },
      ({ time, label, first, last }, x: Tensor, t: Tensor, given: DenoiserInputs) => {
        const told = time(timestepEmbedding(t, 32)).add(label(given.label!));
        return last(first(x.reshape(-1, side ** 2)).add(told).silu()).reshape(...x.shape);
      },
    ),
};
registerFamily(mlp);

// Data: grey squares, dark ones of class 0 and light ones of class 1.
const grey = (label: number, z: number): number => (label === 0 ? -0.5 : 0.5) + 0.05 * z;
const y = int32([64], Array.from({ length: 64 }, (_, i) => i % 2));
const squares = (step: number) => normals(1, step, 64).flatMap((z, i) => new Array(16).fill(grey(i % 2, z)));
const batchAt = (step: number) => ({ x: float32([64, 1, 4, 4], squares(step)), y });

const config = { side: 4, width: 64 };
const process = { schedule: "cosine", steps: 100, prediction: "x0", variance: "fixedSmall" } as const;
const network = mlp.build(config);
await using backend = await openBackend();
const training = { backend, steps: 300, learningRate: 3e-3, emaRate: 0.98, weights: initialize(network, 0), batchAt, process };
