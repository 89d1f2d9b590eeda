import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { DataError } from "../../errors.ts";
import type { ByteSource } from "../../formats/bytes.ts";

/** A file whose bytes are read in parts, until it is closed. Throws DataError, when it is read, where it has become shorter. */
export function openBytes(path: string): { bytes: ByteSource; close(): void } {
  const descriptor = openSync(path, "r");
  const read: ByteSource["read"] = (offset, length, memory = new Uint8Array(length)) => {
    const result = memory.subarray(0, length);
    for (let at = 0; at < length; ) {
      const got = readSync(descriptor, result, at, Math.min(length - at, 2 ** 30), offset + at);
      if (got === 0) throw new DataError(`${path}: ends at byte ${offset + at}; is it truncated?`);
      at += got;
    }
    return result;
  };
  return { bytes: { size: fstatSync(descriptor).size, read }, close: () => closeSync(descriptor) };
}

/** A file that is opened for each read alone. */
export const reopenedBytes = (path: string): ByteSource => ({
  size: statSync(path).size,
  read(...range) {
    const { bytes, close } = openBytes(path);
    try {
      return bytes.read(...range);
    } finally {
      close();
    }
  },
});

/** The first bytes of a file. */
export function startOf(path: string, length = 512): Uint8Array {
  const { bytes, close } = openBytes(path);
  try {
    return bytes.read(0, Math.min(length, bytes.size));
  } finally {
    close();
  }
}
