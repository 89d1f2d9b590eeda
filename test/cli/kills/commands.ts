import { readFile } from "node:fs/promises";

/** Folders and files that commands read, made once. */
export interface Inputs {
  /** A folder of CLASS/IMAGE, 8x8. */
  readonly images: string;
  /** A denoiser of such images, trained with --power-ema. */
  readonly run: string;
  /** Pictures of digits in an npz. */
  readonly digits: string;
  /** A published network, as PyTorch saves it. */
  readonly torch: string;
}

/** A command that works for long on real data, and which people therefore kill. */
export interface LongCommand {
  readonly name: string;
  /** The command line that writes into a folder `out`. It is also the one that is run again after a kill. */
  argv(inputs: Inputs, out: string): readonly string[];
  /** What it leaves in the folder, and which must be the same after any number of kills. */
  readonly results: readonly string[];
  /** A copy of this folder is there at the start. */
  readonly joins?: keyof Inputs;
}

const training = [
  "--preset",
  "tiny",
  "--batch-size",
  "4",
  "--threads",
  "1",
  "--steps",
  "12",
  "--checkpoint-every",
  "2",
];
const last = "step-00000012";

/** A line makes another command one of them. */
export const longCommands: readonly LongCommand[] = [
  {
    name: "train denoiser",
    argv: ({ images }, out) => [
      "train",
      "denoiser",
      "--data",
      images,
      "--out",
      out,
      "--resume",
      "--power-ema",
      ...training,
    ],
    results: [
      "model.json",
      "denoiser.safetensors",
      `checkpoints/denoiser/${last}.safetensors`,
      `checkpoints/denoiser/averages/${last}.safetensors`,
      `samples/${last}.png`,
      "metrics.jsonl",
    ],
  },
  {
    name: "train classifier",
    argv: ({ images }, out) => ["train", "classifier", "--data", images, "--out", out, "--resume", ...training],
    results: [
      "model.json",
      "denoiser.safetensors",
      "classifier.safetensors",
      `checkpoints/classifier/${last}.safetensors`,
      "accuracy.csv",
      "metrics.jsonl",
    ],
    joins: "run",
  },
  {
    name: "distill",
    argv: ({ run }, out) => ["distill", run, "--out", out, "--resume", "--teacher-steps", "2", ...training.slice(2)],
    results: ["model.json", "denoiser.safetensors", `checkpoints/denoiser/${last}.safetensors`, "metrics.jsonl"],
  },
  {
    name: "import",
    argv: ({ torch }, out) => ["import", torch, "--out", out, "--image_size", "16", "--num_heads", "2"],
    results: ["model.json", "denoiser.safetensors"],
  },
  {
    name: "sweep",
    argv: (_, out) => [
      "sweep",
      "--out",
      out,
      "--classifier-scale",
      "0:3:1",
      "--cfg-scale",
      "1",
      "--sampler",
      "dpm++2m",
      "--steps",
      "2",
      "--count",
      "10",
      "--threads",
      "1",
    ],
    results: ["sweep.json", "cells.jsonl"],
  },
  {
    name: "evaluate --save-features",
    argv: ({ digits }, out) => [
      "evaluate",
      digits,
      "--save-features",
      `${out}/f.npz`,
      "--save-statistics",
      `${out}/s.npz`,
      "--threads",
      "1",
    ],
    results: ["f.npz", "s.npz"],
  },
  {
    name: "ema",
    argv: ({ run }, out) => ["ema", run, "--length", "0.1", "--out", out],
    results: ["model.json", "denoiser.safetensors"],
  },
  {
    name: "sample",
    argv: ({ run }, out) => [
      "sample",
      "--model",
      run,
      "--count",
      "8",
      "--steps",
      "10",
      "--out",
      `${out}/p.png`,
      "--npz",
      `${out}/p.npz`,
      "--threads",
      "1",
    ],
    results: ["p.png", "p.npz"],
  },
  {
    name: "export",
    argv: ({ run }, out) => ["export", run, "--what", "denoiser", "--out", `${out}/d.onnx`],
    results: ["d.onnx"],
  },
];

/** What a result says, without the times that its lines tell. */
export async function contentOf(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (!path.endsWith(".jsonl")) return bytes.toString("latin1");
  const timeless = (key: string, value: unknown) => (["seconds", "imagesPerSecond"].includes(key) ? undefined : value);
  return bytes
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.stringify(JSON.parse(line), timeless))
    .join("\n");
}
