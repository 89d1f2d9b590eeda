import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import ts from "typescript";

/** Every TypeScript file in a folder, as paths relative to it, with "/" between names. */
export const sourceFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .sort();

/**
 * What each file of a folder imports: paths within the folder, or names of packages and Node modules. Imports of types count, for
 * they too say what a file has to know; so do dynamic imports and re-exports.
 */
export function importsOf(folder: string): Map<string, string[]> {
  const imports = (file: string): string[] => {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(folder, file), "utf8"), true, true);
    return importedFiles.map(({ fileName }) =>
      fileName.startsWith(".") ? join(dirname(file), fileName).replaceAll(sep, "/") : fileName,
    );
  };
  return new Map(sourceFiles(folder).map((file) => [file, imports(file)]));
}

/** What is loaded with a file of a folder: files and packages that it imports, and those that these import. Types and dynamic imports don't load. */
export function loadedBy(folder: string, entry: string): string[] {
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    const text = file.endsWith(".ts") ? readFileSync(join(folder, file), "utf8") : "";
    for (const [, name] of text.matchAll(/^(?:import|export) (?!type )(?:[^;"=]*? from )?"([^"]+)";$/gm))
      load(name!.startsWith(".") ? join(dirname(file), name!).replaceAll(sep, "/") : name!);
  };
  load(entry);
  return [...loaded].sort();
}

/** A cycle in a directed graph as the names along it, or undefined. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const search = (name: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of graph.get(name) ?? []) {
      const cycle = search(next, [...path, name]);
      if (cycle) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const cycle = search(name, []);
    if (cycle) return cycle;
  }
  return undefined;
}
