import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, root, sourceOf, subpaths } from "../support/package.ts";
import { runBuilt } from "../support/run-built.ts";

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
    expect(await runBuilt(example, folder)).toEqual(promisedBy(example));
  });
});
