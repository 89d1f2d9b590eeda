import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { root, sourceOf, subpaths } from "./support/package.ts";

/** The declarations that the compiler writes for TypeScript files, as the build does; nothing reaches the disk. */
function declarationsOf(files: readonly string[], host?: ts.CompilerHost): ts.SourceFile[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const settings = { ...options, noEmit: false, declaration: true, emitDeclarationOnly: true };
  const written: ts.SourceFile[] = [];
  ts.createProgram(files, settings, host).emit(undefined, (name, text) => {
    written.push(ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  });
  return written;
}

/** Every place where a file says `any`, as "file:line: text of that line". */
function placesOfAny(file: ts.SourceFile): string[] {
  const places: string[] = [];
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      places.push(`${file.fileName.replace(root, "")}:${line + 1}: ${file.text.split("\n")[line]!.trim()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return places;
}

test("no declaration that a subpath shows has an `any`, written or inferred", () => {
  const entries = subpaths.map((path) => join(root, sourceOf(path)));
  const declarations = declarationsOf(entries);
  const written = declarations.map(({ fileName }) => fileName);
  expect(written).toEqual(expect.arrayContaining(entries.map((path) => path.replace(/\.ts$/, ".d.ts"))));
  expect(declarations.flatMap(placesOfAny)).toEqual([]);
});

test("an inferred `any` would be found", () => {
  const host = ts.createCompilerHost({});
  const { getSourceFile, readFile, fileExists } = host;
  const name = join(root, "src/leak.ts");
  const text = "export const leak = (text: string) => JSON.parse(text);";
  host.fileExists = (file) => file === name || fileExists(file);
  host.readFile = (file) => (file === name ? text : readFile(file));
  host.getSourceFile = (file, target, ...rest) =>
    file === name ? ts.createSourceFile(file, text, target) : getSourceFile(file, target, ...rest);
  expect(declarationsOf([name], host).flatMap(placesOfAny)).toEqual([
    "src/leak.d.ts:1: export declare const leak: (text: string) => any;",
  ]);
});
