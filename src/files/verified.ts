import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { cacheFolder } from "./cache.ts";
import { fileState } from "./file-state.ts";
import { makeFolder } from "./make-folder.ts";

/*
 * Large weights whose hash and numbers were once checked are not read through again until their file has changed: a start would spend
 * more time on that than on anything but the steps. As git does for the files of a work tree, change is told from what the system notes
 * of a file.
 */

const noteOf = (path: string): string =>
  join(cacheFolder("verified"), createHash("sha256").update(resolve(path)).digest("hex").slice(0, 32));

/** A file's state, undefined where the last change is so fresh that another might get the same time. */
function stateOf(path: string): string | undefined {
  const found = fileState(path);
  return found && Date.now() - found.changed >= 100 ? found.state : undefined;
}

/**
 * Calls `verify`, which throws where a file is not as it should be, unless it did not throw for the same `content` (what the file should
 * hold, say its hash) earlier and the file has not changed since.
 */
export function verifyOnce(path: string, content: string, verify: () => void): void {
  const state = stateOf(path);
  const note = noteOf(path);
  const verified = `${state} ${content}`;
  if (state !== undefined && read(note) === verified) return;
  verify();
  if (state === undefined || stateOf(path) !== state) return;
  try {
    makeFolder(dirname(note));
    writeFileSync(note, verified);
  } catch {
    // Without a folder to write to, each start verifies.
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
