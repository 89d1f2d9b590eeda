import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

// A thread that is ended while it loads the engine or a program takes the process with it.
test("a backend may be closed at once, also while a program is being compiled", async () => {
  const program = `
    const { openBackend } = await import(${source("runtime/node.ts")});
    const { compile } = await import(${source("runtime/compile.ts")});
    const { conv2d } = await import(${source("tensor/functions.ts")});
    const { f32, trace } = await import(${source("tensor/trace.ts")});
    const graph = trace({ x: f32(1, 32, 9, 9), w: f32(64, 32, 3, 3) }, ({ x, w }) => ({ y: conv2d(x, w).silu() }));
    const backend = await openBackend({ programs: "none" });
    const compiled = compile(graph, backend).catch((error) => console.log(error.message));
    await backend[Symbol.asyncDispose]();
    await compiled;`;
  const args = ["--import", "tsx", "--input-type=module", "-e", program];
  const run = promisify(execFile);
  const runs = await Promise.all(Array.from({ length: 6 }, () => run(process.execPath, args)));
  for (const { stdout } of runs) expect(stdout).toBe("the engine is closed\n");
});
