import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/errors.ts";
import {
  inParts,
  openSafetensors,
  readSafetensors,
  safetensorsParts,
  writeSafetensors,
} from "../../src/formats/safetensors.ts";
import { float32 } from "../../src/ndarray.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));

/** A file with this header and `size` zero bytes after it. */
function file(header: unknown, size: number): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

describe("safetensors", () => {
  const tensors = { a: float32([2, 3], [0, 0.25, 0.5, 0.75, 1, 1.25]), b: float32([1], [-1]) };

  test("reads what the safetensors library writes, and writes the same bytes", () => {
    const bytes = fixture("float32.safetensors");
    expect(readSafetensors(bytes)).toEqual({ tensors, metadata: { "made by": "safetensors" } });
    expect(writeSafetensors(tensors, { metadata: { "made by": "safetensors" } })).toEqual(bytes);
  });

  test("reads float16, scalars and empty tensors", () => {
    const { tensors, metadata } = readSafetensors(fixture("mixed.safetensors"));
    expect(tensors.half).toEqual(float32([3], [0.333251953125, 65504, 2 ** -24]));
    expect(tensors.scalar).toEqual(float32([], [2.5]));
    expect(tensors.zero).toEqual(float32([0, 2]));
    expect(metadata).toEqual({});
  });

  test("reads bfloat16", () => {
    const bytes = file({ x: { dtype: "BF16", shape: [2], data_offsets: [0, 4] } }, 4);
    bytes.set([0x80, 0x3f, 0x40, 0xc0], bytes.length - 4);
    expect(readSafetensors(bytes).tensors.x).toEqual(float32([2], [1, -3]));
  });

  test("stores float16", () => {
    const bytes = writeSafetensors(tensors, { dtype: "float16" });
    expect(bytes.length).toBeLessThan(writeSafetensors(tensors).length);
    expect(readSafetensors(bytes).tensors).toEqual(tensors);
    expect(() => writeSafetensors({ big: float32([2], [1, 70000]) }, { dtype: "float16" })).toThrow(
      /"big": 70000 at 1 is too large for float16/,
    );
  });

  test("comes in parts of a few megabytes, which are the same file", () => {
    const data = Float32Array.from({ length: 2_500_000 }, (_, i) => i % 1000);
    const large = { ...tensors, a: float32([2500, 1000], data) };
    for (const dtype of ["float32", "float16"] as const) {
      const parts = [...safetensorsParts(inParts(large), { dtype })];
      expect(Math.max(...parts.map(({ length }) => length))).toBeLessThanOrEqual(2 ** 22);
      const whole = new Uint8Array(Buffer.concat(parts));
      expect(Buffer.compare(whole, writeSafetensors(large, { dtype }))).toBe(0);
      expect(readSafetensors(whole).tensors.a!.data.every((value, i) => value === data[i])).toBe(true);
    }
  });

  test("shares memory where elements are aligned", () => {
    const bytes = writeSafetensors(tensors);
    expect(readSafetensors(bytes).tensors.a!.data.buffer).toBe(bytes.buffer);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(readSafetensors(shifted.subarray(1)).tensors).toEqual(tensors);
  });

  test("reads only the header until a tensor is asked for", () => {
    const bytes = writeSafetensors(tensors);
    const reads: [number, number][] = [];
    const source = {
      size: bytes.length,
      read: (offset: number, length: number) => {
        reads.push([offset, length]);
        return bytes.subarray(offset, offset + length);
      },
    };
    const { b } = openSafetensors(source).tensors;
    expect(reads).toHaveLength(2);
    expect(b!.read()).toEqual(tensors.b);
    expect(reads[2]).toEqual([bytes.length - 4, 4]);
  });

  const entry = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: "F32",
    shape,
    data_offsets: [begin, end],
  });
  test.each([
    [
      "an element type that is not read",
      () => fixture("int64.safetensors"),
      /"i": expected F32, F16, BF16 but it is I64/,
    ],
    [
      "a shape that needs other bytes",
      () => file({ w: entry(0, 8, [3]) }, 8),
      /"w": shape \[3\] of F32 takes 12 bytes but data_offsets \[0, 8\] give 8/,
    ],
    ["overlap", () => file({ v: entry(0, 8), w: entry(4, 12) }, 12), /"w" should begin at byte 8 but begins at 4/],
    ["a gap", () => file({ v: entry(0, 4), w: entry(8, 12) }, 12), /"w" should begin at byte 4 but begins at 8/],
    ["truncation", () => file({ v: entry(0, 8) }, 7), /"v" ends at byte \d+ but the file has \d+; is it truncated/],
    ["bytes after the end", () => file({ v: entry(0, 8) }, 9), /1 bytes after the last tensor/],
    ["negative sizes", () => file({ v: entry(0, 8, [-1, -2]) }, 8), /"v": its shape or data_offsets are damaged/],
    [
      "a header longer than the file",
      () => file({}, 0).map((byte, i) => (i === 0 ? 99 : byte)),
      /header: bytes 8 to 107/,
    ],
    ["an impossible header", () => new Uint8Array(16).fill(255), /impossible; not a safetensors file/],
    ["a header that is not JSON", () => file({}, 0).fill(65, 8), /header is not JSON/],
    [
      "metadata that is not text",
      () => file({ __metadata__: { a: 1 } }, 0),
      /__metadata__ should map names to strings/,
    ],
    ["an empty file", () => new Uint8Array(0), /the file is empty \(0 bytes\)/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => readSafetensors(bytes(), "model.safetensors")).toThrow(message);
    expect(() => readSafetensors(bytes())).toThrow(ModelError);
  });
});
