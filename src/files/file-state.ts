import { type BigIntStats, statSync } from "node:fs";

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
  return { state: stateOf(status), changed: Number(status.ctimeMs), size: Number(status.size) };
}

/** The state of a file whose status is known. */
export const stateOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(" ");
