/** Runs jobs on WebGPU in a process of their own: drivers are found by its environment, and may abort it. */
import { openBackend } from "../../src/runtime/node.ts";
import { jobs } from "./device-jobs.ts";

const backend = await openBackend({ device: "webgpu", threads: 1 });
process.on("message", async (name: string) => {
  try {
    process.send!({ results: await jobs.find((job) => job.name === name)!.run(backend) });
  } catch (error) {
    process.send!({ error: (error as Error).message });
  }
});
process.send!({ results: new Map() });
