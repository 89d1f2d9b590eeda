import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ModelError } from "../errors.ts";
import { type ByteSource, partsOf } from "../formats/bytes.ts";
import { fileState } from "./file-state.ts";

/** No single read of the system is longer than 2 GiB. */
const longestRead = 2 ** 30;

/** A file that stays open until it is closed. */
export interface OpenFile {
  readonly source: ByteSource;
  /** Closes the file; `source` gives nothing more. */
  close(): void;
}

/** A file of any size, read in parts. Throws ModelError where it cannot be opened. */
export function openFile(path: string): OpenFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (cause) {
    throw new ModelError(`${path}: cannot be read (${(cause as Error).message})`, { cause });
  }
  const close = () => closeSync(descriptor);
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    close();
    throw new ModelError(`${path}: expected a file`);
  }
  const read = (offset: number, length: number, memory = new Uint8Array(length)): Uint8Array => {
    const result = memory.subarray(0, length);
    for (let at = 0; at < length; ) {
      const got = readSync(descriptor, result, at, Math.min(length - at, longestRead), offset + at);
      if (got === 0) throw new ModelError(`${path}: ends at byte ${offset + at}; is it truncated?`);
      at += got;
    }
    return result;
  };
  return { source: { size: status.size, read }, close };
}

/** A file of any size that is opened for each read alone, so it can be asked at any time. Throws ModelError where it has changed since. */
export function reopenedFile(path: string): ByteSource & { readonly state: string } {
  const found = fileState(path);
  if (!found) throw new ModelError(`${path}: cannot be read: there is no such file`);
  const { size, state } = found;
  const read: ByteSource["read"] = (...range) => {
    if (fileState(path)?.state !== state)
      throw new ModelError(`${path}: the file was replaced while it was in use; load the model again`);
    return withFile(path, (source) => source.read(...range));
  };
  return { size, state, read };
}

/** What `use` makes of a file, which is closed then. */
export function withFile<T>(path: string, use: (source: ByteSource) => T): T {
  const { source, close } = openFile(path);
  try {
    return use(source);
  } finally {
    close();
  }
}

/** SHA-256 of a source in hexadecimal digits, a part at a time. */
export function hashOf(source: ByteSource): string {
  const hash = createHash("sha256");
  for (const part of partsOf(source)) hash.update(part);
  return hash.digest("hex");
}
