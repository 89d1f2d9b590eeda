#!/usr/bin/env node
import { runCommandLine } from "./program.ts";

const controller = new AbortController();

// The first Ctrl-C lets the command put things in order; the second ends the process as if nobody had listened.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    process.stderr.write("\nstopping; once more to stop at once\n");
    controller.abort(new DOMException("interrupted", "AbortError"));
  });

// A reader that has seen enough, such as head, is no error.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: {
    out: (text) => process.stdout.write(text),
    message: (text) => process.stderr.write(text),
    columns: process.stderr.isTTY ? process.stderr.columns : undefined,
    color: process.stderr.isTTY && process.stderr.hasColors(2 ** 24),
  },
  signal: controller.signal,
});
