// Families of networks from outside: nothing but the package's public interface, and any schema.
import * as z from "zod";
import type { ClassifierFamily, DenoiserFamily } from "../../../src/public/models.ts";
import { embedding, groupNorm, linear, module, parameter, timestepEmbedding } from "../../../src/public/nn.ts";
import { conv2d, type Tensor } from "../../../src/public/tensor.ts";

interface ConvConfig {
  readonly image: readonly [channels: number, height: number, width: number];
  readonly width: number;
  /** Channels of the output. */
  readonly output: number;
  readonly classes: number;
  /** One more label for "no class". */
  readonly free: boolean;
}

const kernel = (inputs: number, outputs: number) =>
  parameter([outputs, inputs, 3, 3], { kind: "uniform", bound: 1 / Math.sqrt(9 * inputs) });
const size = z.int().min(1).max(256);

/** A denoiser of three convolutions that is told the class. */
export const convDenoiser: DenoiserFamily<ConvConfig> = {
  role: "denoiser",
  kind: "conv",
  schema: z.strictObject({
    image: z.tuple([size, size, size]),
    width: size,
    output: size,
    classes: size,
    free: z.boolean(),
  }),
  signature: ({ image, output, classes, free }) => ({
    imageShape: image,
    outChannels: output,
    classes,
    nullLabel: free ? classes : undefined,
  }),
  build: ({ image: [channels], width, output, classes, free }) =>
    module(
      {
        time: linear(16, width),
        label: embedding(classes + (free ? 1 : 0), width),
        first: kernel(channels, width),
        norm: groupNorm(width, 4),
        middle: kernel(width, width),
        last: kernel(width, output),
      },
      (self, x: Tensor, t: Tensor, { label }) => {
        const told = self.time(timestepEmbedding(t, 16)).add(self.label(label!)).reshape(-1, width, 1, 1);
        const h = self
          .norm(conv2d(x, self.first, undefined, { padding: 1 }))
          .add(told)
          .silu();
        const rest = conv2d(h, self.middle, undefined, { padding: 1 }).silu().add(h);
        return conv2d(rest, self.last, undefined, { padding: 1 });
      },
    ),
  presets: {
    small: ({ imageShape, classes, learnedVariance, nullLabel }) => ({
      image: imageShape,
      width: 16,
      output: learnedVariance ? 2 * imageShape[0] : imageShape[0],
      classes,
      free: nullLabel,
    }),
  },
  // What the tensors don't tell is usual here: images of 8x8, and a null label.
  recognise(tensors) {
    const [width, channels] = tensors.first ?? [];
    const [labels] = tensors["label.weight"] ?? [];
    const [output] = tensors.last ?? [];
    if (!width || !channels || !labels || !output) return undefined;
    return { image: [channels, 8, 8], width, output, classes: labels - 1, free: true };
  },
};

interface PoolConfig {
  readonly image: readonly [channels: number, height: number, width: number];
  readonly classes: number;
}

/** A classifier of a convolution and a mean over the image; its schema is no library's. */
export const poolClassifier: ClassifierFamily<PoolConfig> = {
  role: "classifier",
  kind: "pool",
  schema: {
    safeParse(value) {
      const { image, classes } = value as PoolConfig;
      return Array.isArray(image) && Number.isInteger(classes) && classes > 0
        ? { success: true, data: { image, classes } }
        : { success: false, error: { issues: [{ path: ["classes"], message: "expected a number of classes" }] } };
    },
  },
  signature: ({ image, classes }) => ({ imageShape: image, classes }),
  build: ({ image: [channels], classes }) =>
    module(
      { time: linear(16, 16), kernel: kernel(channels, 16), out: linear(16, classes) },
      (self, x: Tensor, t: Tensor) => {
        const time = self.time(timestepEmbedding(t, 16)).reshape(-1, 16, 1, 1);
        return self.out(conv2d(x, self.kernel, undefined, { padding: 1 }).add(time).silu().mean([2, 3]));
      },
    ),
  presets: { small: ({ imageShape, classes }) => ({ image: imageShape, classes }) },
};
