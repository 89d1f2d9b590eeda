import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkBuilt, manifest, root, subpaths } from "../support/package.ts";

const execute = promisify(execFile);
const neutral = subpaths.filter((path) => path !== "guidestar/node");

/** A project that depends on what npm packs, and on nothing else; the package's own dependencies are those of this repository. */
let project: string;
beforeAll(async () => {
  checkBuilt();
  project = await mkdtemp(join(tmpdir(), "guidestar-consumer-"));
  const modules = join(project, "node_modules");
  await mkdir(modules);
  const { stdout } = await execute("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], {
    cwd: root,
  });
  await execute("tar", ["xzf", JSON.parse(stdout)[0].filename], { cwd: project });
  await rename(join(project, "package"), join(modules, "guidestar"));
  for (const name of Object.keys(manifest.dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name), "junction");
  }
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
});
afterAll(() => rm(project, { recursive: true }));

/** What the compiler says of a program, with the strictest settings and without the types of Node; nothing where all is well. */
async function problemsOf(program: string, options: object): Promise<string> {
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022", "dom"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    ...options,
  };
  await writeFile(join(project, "program.ts"), program);
  await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  return execute(process.execPath, [compiler, "-p", project], { cwd: project }).then(
    () => "",
    ({ stdout }: { stdout: string }) => stdout,
  );
}

const everything = neutral.map((path, i) => `export * as chapter${i} from "${path}";`).join("\n");

describe("types for a project that depends on the package", () => {
  test.each(["nodenext", "bundler"])("compile, resolved as by %s", async (moduleResolution) => {
    const module = moduleResolution === "bundler" ? "preserve" : "nodenext";
    const customConditions = moduleResolution === "bundler" ? { customConditions: ["browser"] } : {};
    expect(await problemsOf(everything, { module, moduleResolution, ...customConditions })).toBe("");
  });

  test("a wrong use is an error", async () => {
    const program = 'import { f32 } from "guidestar/tensor"; f32("two");';
    expect(await problemsOf(program, { module: "nodenext" })).toContain("not assignable to parameter of type 'number'");
  });
});
