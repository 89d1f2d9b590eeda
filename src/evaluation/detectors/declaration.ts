import * as z from "zod";
import { ModelError } from "../../errors.ts";
import { float32 } from "../../ndarray.ts";
import { constant, type Tensor } from "../../tensor/tensor.ts";

/** A number for all channels, or one for each. */
const perChannel = z.union([z.number(), z.array(z.number()).min(1).max(3)]);

/** How images become the input of an ONNX file, and which of its outputs are what. */
const declarationSchema = z.strictObject({
  /** Name of the input. */
  input: z.string(),
  /** Side, or height and width, that images are resized to; without it, they stay as they are. */
  size: z.union([z.int().positive(), z.tuple([z.int().positive(), z.int().positive()])]).optional(),
  /** Positions of pixels: "half-pixel" (PyTorch, ONNX, TensorFlow 2) or "asymmetric" (TensorFlow 1, whose Inception FID is). */
  resize: z.enum(["half-pixel", "asymmetric"]).default("half-pixel"),
  channels: z.union([z.literal(1), z.literal(3)]).default(3),
  /** Values of black and of white, before mean and deviation: [0, 1], [-1, 1] or [0, 255]. */
  range: z.tuple([z.number(), z.number()]).default([0, 1]),
  /** Subtracted, for each channel. */
  mean: perChannel.default(0),
  /** Divided by, for each channel. */
  std: perChannel.default(1),
  /** Order of the input's axes. */
  layout: z.enum(["NCHW", "NHWC"]).default("NCHW"),
  /** Name of the output [N, D], or [N, D, 1, 1]. */
  features: z.string(),
  /** Name of an output of spatial features [N, ...]. */
  spatial: z.string().optional(),
  /** Name of an output [N, K]: logits, or what is probabilities already. */
  logits: z.string().optional(),
  probabilities: z.string().optional(),
  /** Names of the K classes, in order. */
  classes: z.array(z.string()).optional(),
  /** Images at a time, where the file takes no other number. */
  batchSize: z.int().positive().default(32),
});
/** How images become the input of an ONNX file, and which of its outputs are what: see `guidestar evaluate --help`. */
export type DetectorDeclaration = z.infer<typeof declarationSchema>;

/** Reads the declaration of a detector from JSON text. Throws ModelError that names what is wrong. */
export function parseDeclaration(text: string, where: string): DetectorDeclaration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${where}: the declaration of a detector must be JSON (${(cause as Error).message})`, {
      cause,
    });
  }
  const parsed = declarationSchema.safeParse(upgraded(value));
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new ModelError(`${where}: ${path.length > 0 ? `"${path.join(".")}": ` : ""}${message}`);
}

/** Earlier versions called batchSize "batch". */
function upgraded(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("batch" in value)) return value;
  const { batch, ...declaration } = value;
  return { batchSize: batch, ...declaration };
}

/**
 * Bilinear interpolation from `from` to `to` pixels as a matrix [to, from]: resizing is linear, so it is two products. Without
 * antialiasing, as the networks of metrics expect it.
 */
export function resizeMatrix(from: number, to: number, positions: DetectorDeclaration["resize"]): Float32Array {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = positions === "asymmetric" ? (i * from) / to : ((i + 0.5) * from) / to - 0.5;
    const inside = Math.min(Math.max(at, 0), from - 1);
    const low = Math.floor(inside);
    const high = Math.min(low + 1, from - 1);
    matrix[i * from + low]! += 1 - (inside - low);
    matrix[i * from + high]! += inside - low;
  }
  return matrix;
}

/** Images [N, C, H, W] in [-1, 1] to the input that a declaration describes, as a traced function. */
export function preprocess(x: Tensor, declaration: DetectorDeclaration): Tensor {
  const { size, resize, channels, range, mean, std, layout } = declaration;
  const [, c, h, w] = x.shape as [number, number, number, number];
  const [height, width] = size === undefined ? [h, w] : typeof size === "number" ? [size, size] : size;
  let y = c === channels ? x : c === 1 ? x.expand(x.shape[0]!, channels, h, w) : x.mean([1], true);
  if (height !== h) y = constant(float32([height, h], resizeMatrix(h, height, resize))).matmul(y);
  if (width !== w) y = y.matmul(constant(float32([width, w], resizeMatrix(w, width, resize))).permute(1, 0));
  const [black, white] = range;
  y = y
    .add(1)
    .mul((white - black) / 2)
    .add(black);
  const each = (value: number | readonly number[], what: string): Tensor => {
    const values = typeof value === "number" ? new Array<number>(channels).fill(value) : value;
    if (values.length !== channels)
      throw new ModelError(`"${what}" has ${values.length} numbers but the input has ${channels} channels`);
    return constant(float32([1, channels, 1, 1], values));
  };
  y = y.sub(each(mean, "mean")).div(each(std, "std"));
  return layout === "NHWC" ? y.permute(0, 2, 3, 1) : y;
}
