import { type ErrorCode, GuidestarError } from "../../errors.ts";
import { messageOf, oneLine } from "../../one-line.ts";

/** Ctrl-C, or another signal that asks to stop: what was under way is put in order, and the exit code is 130. */
export class Interrupted extends GuidestarError {
  constructor(message: string) {
    super("interrupted", message);
  }
}

const exitCodes: Record<ErrorCode, number> = { usage: 2, data: 3, model: 3, runtime: 1, shape: 1, interrupted: 130 };

/** Exit code of an error: 1 runtime, 2 usage, 3 bad data or model, 130 interrupted. */
export const exitCode = (error: unknown): number => (error instanceof GuidestarError ? exitCodes[error.code] : 1);

/** What is said of an error: the whole cause on one line of bounded length, or the whole stack. */
export function describeError(error: unknown, verbose: boolean): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (verbose) return error.stack ?? error.message;
  // Line breaks of our own messages are those of names in them; the engine's and other programs' have several lines.
  const planned = error instanceof GuidestarError && error.code !== "runtime";
  const line = oneLine(planned ? error.message : messageOf(error));
  // Unplanned errors say where they came from: the message alone may be "fetch failed".
  return error instanceof GuidestarError || "code" in error ? line : `${error.name}: ${line} (--verbose shows where)`;
}
