import { closeSync, openSync } from "node:fs";
import { isatty } from "node:tty";
import type { Terminal } from "./command.ts";

/**
 * Standard output and error as a terminal. Neither ever ends the work, where it is gone: a closed window, a full disk. Messages that cannot be
 * written are dropped, each tried anew, for a disk may have room again; data that cannot be written is an error when the process ends, by
 * when files are written. A reader of data that has seen enough, such as `head`, is none, nor is a window
 * that was closed.
 */
export function processTerminal(): Terminal {
  const terminals = process.platform === "win32" ? [] : [0, 1, 2].filter((descriptor) => isatty(descriptor));
  const { stdout, stderr } = process;
  let failure: NodeJS.ErrnoException | undefined;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    const nobodyReads = error.code === "EPIPE" || (error.code === "EIO" && terminals.includes(1));
    if (!nobodyReads) failure ??= error;
  });
  stderr.on("error", () => undefined);
  process.on("exit", () => {
    if (failure) {
      stderr.write(
        `guidestar: standard output: cannot be written (${failure.message}); what is printed there is lost\n`,
      );
      process.exitCode ||= 1;
    }
    for (const descriptor of terminals) if (!isatty(descriptor)) replace(descriptor);
  });
  return {
    out: (text) => stdout.write(text),
    message: (text) => stderr.write(text),
    columns: stderr.isTTY ? stderr.columns : undefined,
    color: stderr.isTTY && stderr.hasColors(2 ** 24),
  };
}

/** Node puts its terminals back in order when it exits, and aborts where one is gone; it leaves alone what has become something else. */
function replace(descriptor: number): void {
  try {
    closeSync(descriptor);
    openSync("/dev/null", "r+"); // takes the lowest number that is free
  } catch {
    // There is nobody left to tell.
  }
}
