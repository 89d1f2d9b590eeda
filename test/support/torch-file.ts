import { zipSync } from "fflate";

/*
 * Checkpoints as PyTorch would write them, and as it never would: pickles are put together opcode by opcode.
 */

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const u32 = (n: number): string => String.fromCharCode(n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255);
const text = (value: string): string => `X${u32(value.length)}${value}`;
/** LONG1 of eight bytes. */
const integer = (value: number): string => {
  const bytes = new Uint8Array(new BigInt64Array([BigInt(value)]).buffer);
  return `\x8a\x08${String.fromCharCode(...bytes)}`;
};
const tuple = (...items: string[]): string => `(${items.join("")}t`;

/** A storage's persistent id: elements of a class, under a key of the file. */
export const storage = (key: string, count: number, kind = "FloatStorage"): string =>
  `${tuple(text("storage"), `ctorch\n${kind}\n`, text(key), text("cpu"), integer(count))}Q`;

/** A tensor: a strided window on a storage. */
export const tensor = (of: string, offset: number, shape: readonly number[], strides: readonly number[]): string =>
  `ctorch._utils\n_rebuild_tensor_v2\n${tuple(of, integer(offset), tuple(...shape.map(integer)), tuple(...strides.map(integer)), "\x89", "}")}R`;

/** A dictionary of values that are pickled already. */
export const dictionary = (entries: Readonly<Record<string, string>>): string =>
  `}(${Object.entries(entries)
    .map(([name, value]) => text(name) + value)
    .join("")}u`;

/** A file of the zip format around a pickled value; storages by key. */
export const torchFile = (value: string, storages: Readonly<Record<string, Uint8Array>> = {}, level: 0 | 6 = 0) =>
  zipSync(
    {
      "x/data.pkl": latin1(`\x80\x02${value}.`),
      ...Object.fromEntries(Object.entries(storages).map(([key, bytes]) => [`x/data/${key}`, bytes])),
    },
    { level },
  );
