import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL("../../src", import.meta.url));
const list = join(src, "tensor/ops.ts");

/** Files of src, of those that know the list of operators, that do not compile when it reads otherwise. */
function filesWithErrors(change: (text: string) => string): string[] {
  const { config } = ts.readConfigFile(join(src, "../tsconfig.json"), ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, join(src, ".."));
  const host = ts.createCompilerHost(options);
  const { readFile } = host;
  host.readFile = (file) => (file === list ? change(readFile(file)!) : readFile(file));
  const files = fileNames.filter((file) => file.startsWith(src) && readFile(file)!.includes('/ops.ts"'));
  const errors = ts.getPreEmitDiagnostics(ts.createProgram(files, options, host));
  return [...new Set(errors.map(({ file }) => relative(src, file!.fileName)))].sort();
}

test("a new operator needs its entry in ops.ts, a gradient rule and an ONNX rule, and gets a method: four files", () => {
  const withCubeRoot = filesWithErrors((text) => {
    const changed = text.replace("  sqrt: unary,\n", "  sqrt: unary,\n  cubeRoot: unary,\n");
    expect(changed).not.toBe(text);
    return changed;
  });
  expect(withCubeRoot).toEqual(["onnx/emit.ts", "tensor/gradient.ts"]);
}, 60_000);
