import { whatCameInstead } from "../../formats/what-it-is.ts";
import type { Entry } from "../entries.ts";
import { reopenedBytes, startOf } from "./disk.ts";

/** Begins and ends the sentences of archives. */
const archive = (name: string, command: string): string =>
  `this is ${name}, which is not read; unpack it (${command}) and give the folder`;
const table = (name: string, how: string): string => `this is ${name}, which is not read; write its images ${how}`;
const AS_FILES = "as CLASS/NAME.png, or as an npz of images and labels";

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them
/** Files that hold images in forms that are not read here, by their first bytes (as latin-1). */
const KNOWN: readonly (readonly [start: RegExp, what: string])[] = [
  [/^7z\xbc\xaf\x27\x1c/, archive("a 7z archive", "7z x")],
  [/^Rar!\x1a\x07/, archive("a rar archive", "unrar x")],
  [/^\x28\xb5\x2f\xfd/, archive("a file packed by zstd", "tar --zstd -xf, or unzstd")],
  [/^\xfd7zXZ\0/, archive("a file packed by xz", "tar -xJf, or unxz")],
  [/^BZh\d/, archive("a file packed by bzip2", "tar -xjf, or bunzip2")],
  [/^\x04\x22\x4d\x18/, archive("a file packed by lz4", "unlz4")],
  [/^\x89HDF\r\n\x1a\n/, table("an HDF5 file", `${AS_FILES} (h5py reads it)`)],
  [/^MATLAB [57]\.\d MAT-file/, table("a MATLAB file", `${AS_FILES} (scipy.io.loadmat reads it)`)],
  [/^[\s\S]{16}\xde\xc0\xef\xbe/, table("an LMDB data base", `${AS_FILES} (the Python package lmdb reads it)`)],
  [/^SQLite format 3\0/, table("an SQLite data base", AS_FILES)],
  [/^[\s\S]{4}\0{4}[\s\S]{4}\x0a/, table("a TFRecord file", `${AS_FILES} (tf.data.TFRecordDataset reads it)`)],
  [
    /^\x80[\x02-\x05][\s\S]/,
    table("a pickle of Python, as CIFAR's Python version is", `${AS_FILES}; of CIFAR take the binary version`),
  ],
  [/^FEA1/, table("a Feather file of version 1", "as parquet")],
  [/^ORC/, table("an ORC file", "as parquet")],
  [/^Obj\x01/, table("an Avro file", "as parquet")],
  [/^%PDF-/, "this is a PDF, which is not read; write its pictures as PNG"],
  [
    /^[\s\S]{4}ftyp(isom|mp4|M4V|qt|3gp)/,
    "this is a film, which is not read; write its frames as PNG (ffmpeg -i FILM frame_%05d.png)",
  ],
  [
    /^(RIFF[\s\S]{4}AVI |\x1aE\xdf\xa3)/,
    "this is a film, which is not read; write its frames as PNG (ffmpeg -i FILM frame_%05d.png)",
  ],
];
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them

/** Files that are looked at where nothing else was found. */
const LOOKED_AT = 50;

/** What one of the files is that are not read here, and what to do; undefined where none is known. */
export async function foreignAmong(entries: readonly Entry[]): Promise<string | undefined> {
  for (const { path, file } of entries.slice(0, LOOKED_AT)) {
    if (file === undefined) continue;
    const { size } = reopenedBytes(file);
    const what = foreign(startOf(file), size);
    if (what) return entries.length === 1 ? what : `${path}: ${what}`;
  }
  return undefined;
}

/** What a file is that is not read here, and what to do, by its first 512 bytes. */
export function foreign(start: Uint8Array, size: number): string | undefined {
  const text = String.fromCharCode(...start.subarray(0, 512));
  return KNOWN.find(([pattern]) => pattern.test(text))?.[1] ?? whatCameInstead(start, size);
}
