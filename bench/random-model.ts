import { importNetwork } from "../src/checkpoint/import.ts";
import type { LazyTensor } from "../src/formats/lazy-tensor.ts";
import type { ClassifierConfig, UNetConfig } from "../src/models/adm/config.ts";
import { networkOf } from "../src/models/families.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../src/ndarray.ts";
import { parameterShapes } from "../src/nn/module.ts";

export interface RandomModel {
  readonly denoiser: UNetConfig;
  readonly classifier?: ClassifierConfig;
  readonly storage?: "float32" | "float16";
}

const noise = { schedule: "cosine", steps: 1000, rescaleTimesteps: false } as const;

/** Writes a model folder of random weights, a tensor at a time; gives the number of weights of each network. */
export async function writeRandomModel(
  folder: string,
  { denoiser, classifier, storage = "float32" }: RandomModel,
): Promise<{ denoiser: number; classifier: number }> {
  const { inChannels, imageSize } = denoiser;
  const classes = Array.from({ length: denoiser.numClasses ?? 0 }, (_, label) => String(label));
  const networks = [
    {
      role: "denoiser",
      kind: "adm-unet",
      config: denoiser,
      process: { ...noise, prediction: "eps", variance: "learned-range" },
    },
    ...(classifier
      ? [{ role: "classifier", kind: "adm-classifier", config: classifier, process: noise } as const]
      : []),
  ] as const;
  const random = generator();
  const counts = { denoiser: 0, classifier: 0 };
  for (const network of networks) {
    const shapes = Object.entries(parameterShapes(networkOf(network.role, network)));
    for (const [, shape] of shapes) counts[network.role] += sizeOf(shape);
    await importNetwork(folder, {
      network,
      tensors: Object.fromEntries(shapes.map(([name, shape]) => [name, lazily(shape, random)])),
      model: { classes, imageShape: [inChannels, imageSize, imageSize], preprocessing: { size: imageSize } },
      source: "random weights",
      storage,
    });
  }
  return counts;
}

const lazily = (shape: Shape, random: (shape: Shape) => NDArray<"float32">): LazyTensor => ({
  shape,
  read: () => random(shape),
  *parts() {
    yield random(shape).data;
  },
});

/** Uniform numbers of variance 1 / inputs, from a generator that makes hundreds of millions in seconds. */
function generator(): (shape: Shape) => NDArray<"float32"> {
  let state = 1;
  return (shape) => {
    const scale = Math.sqrt(3 / sizeOf(shape.slice(1))) / 2 ** 31;
    const data = new Float32Array(sizeOf(shape));
    for (let i = 0; i < data.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      data[i] = state * scale;
    }
    return float32(shape, data);
  };
}
