/** Trains in a process of its own, to be killed: `run.ts FOLDER STEPS`. Prints the kind and step of every event. */
import { writeSync } from "node:fs";
import { checkpointFolder } from "../../../src/checkpoint/run-folder.ts";
import { openBackend } from "../../../src/runtime/node.ts";
import { trainDenoiser } from "../../../src/training/train.ts";
import { tinyRun } from "./tiny.ts";

const [folder, steps] = process.argv.slice(2) as [string, string];
const options = { ...tinyRun(await openBackend(), Number(steps)), store: checkpointFolder(folder), checkpointEvery: 1 };
for await (const { kind, step } of trainDenoiser(options)) writeSync(1, `${kind} ${step}\n`);
