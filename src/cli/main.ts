#!/usr/bin/env node
import { runCommandLine } from "./program.ts";
import { stopSignal } from "./terminal/signals.ts";
import { processTerminal } from "./terminal/streams.ts";

const terminal = processTerminal();
const signal = stopSignal(terminal.message);
process.exitCode = await runCommandLine(process.argv.slice(2), { terminal, signal });
