import { statSync } from "node:fs";

export interface FileState {
  /** What the system notes of a file. It differs after any change: the last of its times, that of the change of its status, cannot be set back. */
  readonly state: string;
  /** When the file or its status last changed, in ms since 1970. */
  readonly changed: number;
  /** Bytes. */
  readonly size: number;
}

/** Tells a file from all that it may become without reading it. Undefined where there is none. */
export function fileState(path: string): FileState | undefined {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!status) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = status;
  return { state: [dev, ino, size, mtimeNs, ctimeNs].join(" "), changed: Number(ctimeMs), size: Number(size) };
}
