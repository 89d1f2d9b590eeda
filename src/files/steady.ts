import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileState } from "./file-state.ts";

/** A writer that is always faster than the reader is not waited for without end. */
const mostTries = 20;

/**
 * What `read` makes of files of a folder that belong together, which another process may be replacing one after the other: if one of them
 * changed while they were read, they are read again, whether that failed or not.
 *
 * @param names tells which files of the folder are meant, by name
 */
export async function readSteadily<T>(folder: string, names: RegExp, read: () => Promise<T>): Promise<T> {
  const stateOf = (): string =>
    readdirSync(folder)
      .filter((name) => names.test(name))
      .sort()
      .map((name) => `${name} ${fileState(join(folder, name))?.state}`)
      .join("\n");
  for (let tries = 1; ; tries++) {
    const before = stateOf();
    const isSteady = (): boolean => tries === mostTries || stateOf() === before;
    try {
      const result = await read();
      if (isSteady()) return result;
    } catch (error) {
      if (isSteady()) throw error;
    }
  }
}
