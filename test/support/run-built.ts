import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { root } from "./package.ts";

/**
 * Runs a TypeScript program that imports the package by its name, in a process that knows the built package alone: neither the sources
 * nor a loader for TypeScript. Gives the lines that it printed.
 *
 * @param folder where it runs, for files that it writes
 */
export async function runBuilt(program: string, folder: string): Promise<string[]> {
  // Node 20 has no `await using` yet.
  const { code } = await transform(program, { loader: "ts", target: "node20", format: "esm", tsconfigRaw: {} });
  // A program that is given as text imports from where the process starts: here from the package itself.
  const text = `globalThis.process.chdir(${JSON.stringify(folder)}); ${code}`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", text], { cwd: root });
  return stdout.trimEnd().split("\n");
}
