import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { sourceFiles } from "./imports.ts";

/** A function of a file, with its body and all that it holds. */
export interface FunctionFound {
  readonly file: string;
  /** "" where it has none. */
  readonly name: string;
  readonly lines: number;
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  const named =
    node.name ??
    (ts.isVariableDeclaration(node.parent) || ts.isPropertyAssignment(node.parent) ? node.parent.name : undefined);
  return named?.getText() ?? "";
}

/** Every function of a folder's TypeScript files, arrows and methods too, the longest first. */
export function functionsOf(folder: string): FunctionFound[] {
  const found: FunctionFound[] = [];
  for (const file of sourceFiles(folder)) {
    const source = ts.createSourceFile(file, readFileSync(join(folder, file), "utf8"), ts.ScriptTarget.Latest, true);
    const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && "body" in node && node.body)
        found.push({ file, name: nameOf(node), lines: lineAt(node.end) - lineAt(node.getStart()) + 1 });
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found.sort((a, b) => b.lines - a.lines);
}
