import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, root, sourceOf, subpaths } from "../support/package.ts";

beforeAll(checkBuilt);

const execute = promisify(execFile);

test("the package has its chapters", () => {
  const chapters = [
    "tensor",
    "nn",
    "models",
    "diffusion",
    "training",
    "evaluation",
    "formats",
    "node",
    "web",
    "element",
  ];
  expect(subpaths).toEqual(["guidestar", ...chapters.map((name) => `guidestar/${name}`)]);
});

test("the root has some forty names", async () => {
  const sources = await Promise.all(
    ["src/index.ts", "src/public/everywhere.ts"].map((path) => readFile(join(root, path), "utf8")),
  );
  const lists = sources.flatMap((source) =>
    [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, list]) => list!),
  );
  const names = lists.flatMap((list) => list.split(",")).filter((name) => name.trim() !== "");
  expect(names.length).toBeGreaterThan(35);
  expect(names.length).toBeLessThanOrEqual(48);
  expect(sources.join("")).not.toMatch(/export \* from "\.\.\//);
});

test.each(subpaths)("Node imports %s, and finds the names that its source exports", async (path) => {
  const code = `console.log(JSON.stringify(Object.keys(await import("${path}"))))`;
  const { stdout } = await execute(process.execPath, ["--input-type=module", "-e", code], { cwd: root });
  const source: object = await import(join(root, sourceOf(path)));
  expect(JSON.parse(stdout)).toEqual(Object.keys(source).sort());
});

describe("what npm packs", () => {
  let files: string[];
  beforeAll(async () => {
    const { stdout } = await execute("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
    files = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  });

  test("holds the code, the bundled models, licences, and the documents that help and README refer to", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const linked = [...readme.matchAll(/\]\((docs\/[^)#\s]+)/g)].map(([, path]) => path!);
    expect(linked.length).toBeGreaterThan(2);
    for (const path of [...linked, "docs/tour.md", "dist/cli/main.js", "models/digits/model.json", "LICENSE"])
      expect(files).toContain(path);
  });

  test("holds neither sources nor tests", () => {
    expect(files.filter((path) => !/^(dist|models|docs|[^/]+$)/.test(path) || /\.test\./.test(path))).toEqual([]);
    expect(files.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
  });
});
