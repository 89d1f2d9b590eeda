import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
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
  // That of `guidestar/web` runs in a browser: see in-browser.test.ts.
  test.each(subpaths.filter((path) => path !== "guidestar/web"))(
    "%s prints what it says, on the built package",
    async (path) => {
      const example = exampleOf(await readFile(join(root, sourceOf(path)), "utf8"));
      expect(promisedBy(example).length).toBeGreaterThan(0);
      expect(example).toContain(` from "${path}";`);
      expect(await runBuilt(example, folder)).toEqual(promisedBy(example));
    },
  );
});

/** What the generator of the documentation finds wrong: names without a docstring, links that lead nowhere, types that are not exported. */
async function complaints(...options: string[]): Promise<string[]> {
  const typedoc = join(root, "node_modules", "typedoc", "bin", "typedoc");
  const args = [
    typedoc,
    "--emit",
    "none",
    "--skipErrorChecking",
    "--logLevel",
    "Warn",
    "--pretty",
    "false",
    ...options,
  ];
  const said = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string => stdout + stderr;
  const output = await promisify(execFile)(process.execPath, args, { cwd: root }).then(said, said);
  return output.split("\n").filter((line) => /error|warning|defined in/.test(line));
}

test("every public name has a docstring, and every type that it mentions a page", async () => {
  expect(await complaints()).toEqual([]);
});

test("a name without a docstring, and a type without a page, would be found", async () => {
  const options = ["--entryPoints", "src/models/adm-unet.ts", "--intentionallyNotDocumented", "none"];
  const found = (await complaints(...options)).join("\n");
  expect(found).toMatch(/UNetConfig, .* not included in the documentation/);
  expect(found).toMatch(/signature .* does not have any documentation/);
});
