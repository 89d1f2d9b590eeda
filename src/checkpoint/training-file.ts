import { ModelError } from "../errors.ts";
import { type ByteSource, partsOf, viewOf } from "../formats/bytes.ts";
import { crc32 } from "../formats/crc32.ts";
import { inParts, openSafetensors, safetensorsParts } from "../formats/safetensors.ts";
import type { NDArray } from "../ndarray.ts";
import type { Checkpoint } from "../training/checkpoint.ts";
import type { Weights } from "../training/events.ts";

/**
 * A checkpoint as one safetensors file: tensors "params/KEY", "m/KEY", "v/KEY", "ema/KEY", where the run keeps them "short/KEY" and
 * "long/KEY" of its averages, and the rest as JSON in its metadata. There is a checksum too, of the whole file with zeros in its place.
 */
export function encodeCheckpoint({
  params,
  m,
  v,
  ema,
  averages,
  step,
  task,
  watch,
  pace,
  best,
  falls,
  config,
}: Checkpoint): Iterable<Uint8Array> {
  const tensors = inParts(grouped({ params, m, v, ema, ...averages }));
  const run = JSON.stringify({ step, task, watch, pace, best, falls, config });
  const withChecksum = (crc32: string) =>
    safetensorsParts(tensors, { metadata: { format: "guidestar-training-1", crc32, run } });
  return withChecksum(digitsOf(checksum(withChecksum(noChecksum))));
}

const noChecksum = "00000000";
const digitsOf = (value: number): string => value.toString(16).padStart(8, "0");

function checksum(parts: Iterable<Uint8Array>): number {
  let value = 0;
  for (const part of parts) value = crc32(part, value);
  return value;
}

/** Throws ModelError where a bit of the file has changed since it was written. Those of earlier versions carry no checksum. */
function checkChecksum(source: ByteSource, stored: string | undefined, file: string): void {
  if (stored === undefined) return;
  const start = 8 + Number(viewOf(source.read(0, 8)).getBigUint64(0, true));
  const header = new TextDecoder().decode(source.read(0, start).slice(8));
  const zeroed = new TextEncoder().encode(header.replace(`"crc32":"${stored}"`, `"crc32":"${noChecksum}"`));
  function* parts() {
    yield source.read(0, 8);
    yield zeroed;
    yield* partsOf(source, start);
  }
  if (digitsOf(checksum(parts())) !== stored)
    throw new ModelError(`${file}: damaged: its bytes are not those that were written (CRC-32 ${stored})`);
}

/** Weights in groups as tensors "GROUP/KEY". */
export const grouped = (groups: Readonly<Record<string, Weights>>): Weights =>
  Object.fromEntries(
    Object.entries(groups).flatMap(([group, weights]) =>
      Object.entries(weights).map(([key, value]) => [`${group}/${key}`, value] as const),
    ),
  );

/** The tensors of a checkpoint, not read yet, and the rest. Throws ModelError unless the source is a whole training checkpoint. */
export function openCheckpoint(source: ByteSource, file: string) {
  const { tensors, metadata } = openSafetensors(source, file);
  if (metadata.format !== "guidestar-training-1" || metadata.run === undefined)
    throw new ModelError(
      `${file}: expected a training checkpoint, but its format is ${metadata.format ?? "not given"}`,
    );
  return { tensors, crc32: metadata.crc32, run: parseRun(metadata.run, file) };
}

function parseRun(text: string, file: string) {
  try {
    return JSON.parse(text) as Pick<Checkpoint, "step" | "task" | "watch" | "pace" | "best" | "falls" | "config">;
  } catch (cause) {
    throw new ModelError(`${file}: damaged: what it says of its run is not JSON`, { cause });
  }
}

/** Throws ModelError unless the source is a whole training checkpoint. `file` is for errors. */
export function decodeCheckpoint(source: ByteSource, file: string): Checkpoint {
  const { tensors, crc32, run } = openCheckpoint(source, file);
  checkChecksum(source, crc32, file);
  const group = (name: string): Record<string, NDArray<"float32">> => {
    const prefix = `${name}/`;
    const members = Object.entries(tensors).filter(([full]) => full.startsWith(prefix));
    return Object.fromEntries(members.map(([full, tensor]) => [full.slice(prefix.length), tensor.read()]));
  };
  const averages = { short: group("short"), long: group("long") };
  return {
    ...run,
    params: group("params"),
    m: group("m"),
    v: group("v"),
    ema: group("ema"),
    ...(Object.keys(averages.short).length > 0 && { averages }),
  };
}

/**
 * Which of a run's checkpoints stay: the newest, and a few older ones whose distances grow about as powers of a number. As each new one comes,
 * that one of the older goes whose neighbours are closest to each other, seen from the newest.
 *
 * @param steps of the checkpoints, the newest first
 */
export function stepsToKeep(steps: readonly number[], keep: number, keepOlder: number): number[] {
  const newest = steps[0] ?? 0;
  const older = steps.slice(keep);
  while (older.length > keepOlder) {
    const gapWithout = older.map((_, i) => {
      const [after = steps[keep - 1] ?? newest, before = 0] = [older[i - 1], older[i + 1]];
      return (newest - before + 1) / (newest - after + 1);
    });
    older.splice(gapWithout.indexOf(Math.min(...gapWithout)), 1);
  }
  return [...steps.slice(0, keep), ...older];
}
