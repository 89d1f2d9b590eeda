import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, root, sourceOf, subpaths } from "../support/package.ts";

const execute = promisify(execFile);

let folder: string;
beforeAll(async () => {
  checkBuilt();
  folder = await mkdtemp(join(tmpdir(), "guidestar-docs-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The first fenced ts block of the comment that a file begins with. */
function exampleOf(source: string): string {
  const comment = source.slice(0, source.indexOf("*/")).replace(/^ \* ?/gm, "");
  return /^```ts\n(.*?)^```$/ms.exec(comment)?.[1] ?? "";
}

/** What each `console.log(...); // text` of an example says that it prints. */
const promisedBy = (example: string): string[] =>
  [...example.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text!);

describe("the first example of", () => {
  test.each(subpaths)("%s prints what it says, on the built package", async (path) => {
    const example = exampleOf(await readFile(join(root, sourceOf(path)), "utf8"));
    expect(promisedBy(example).length).toBeGreaterThan(0);
    expect(example).toContain(` from "${path}";`);
    // Node 20 has no `await using` yet.
    const { code } = await transform(example, { loader: "ts", target: "node20", format: "esm" });
    // A program that is given as text imports from where it runs: here from the package itself.
    const program = `process.chdir(${JSON.stringify(folder)}); ${code}`;
    const { stdout } = await execute(process.execPath, ["--input-type=module", "-e", program], { cwd: root });
    expect(stdout.trimEnd().split("\n")).toEqual(promisedBy(example));
  });
});
