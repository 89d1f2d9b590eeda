import { ModelError } from "../errors.ts";
import { type ByteSource, viewOf } from "./bytes.ts";
import { whatItIs } from "./what-it-is.ts";

/** How weights are stored: safetensors, the zip of PyTorch 1.6 and later, or pickles one after the other as before. */
export type WeightsFormat = "safetensors" | "zip" | "pickle";

/** The format of a file of weights, by its first bytes. Throws ModelError for anything else, which it names where it is known. */
export function formatOf(source: ByteSource, file: string): WeightsFormat {
  const other = whatItIs(source);
  if (other) throw new ModelError(`${file}: ${other}`);
  const start = source.read(0, Math.min(source.size, 9));
  if (start[0] === 0x50 && start[1] === 0x4b) return "zip";
  if (start[0] === 0x80) return "pickle";
  if (start.length === 9 && start[8] === 0x7b && viewOf(start).getBigUint64(0, true) <= 100_000_000n)
    return "safetensors";
  const bytes = Array.from(start.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  throw new ModelError(
    `${file}: not a checkpoint: neither safetensors nor PyTorch's, which is neither a zip nor a pickle; its first bytes are ${bytes}`,
  );
}
