import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the package. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

export const manifest: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** What programs import: "guidestar", "guidestar/tensor", ...; the worker of `guidestar/web` is started, not imported. */
export const subpaths: readonly string[] = Object.keys(manifest.exports)
  .filter((path) => path !== "./package.json" && path !== "./web/worker")
  .map((path) => path.replace(/^\./, "guidestar"));

/** When the newest file of a folder changed, in ms. */
const newest = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs),
  );

/** Is dist what src is now? */
export const isBuilt = (): boolean =>
  existsSync(join(root, "dist")) && newest(join(root, "dist")) >= newest(join(root, "src"));

/** Tests of the built package would pass or fail for what it was before: throws where dist is older than src. */
export function checkBuilt(): void {
  if (!isBuilt()) throw new Error("dist is older than src: run `npm run build` first, as `npm test` does");
}

/** Source of what a subpath exports in Node, relative to the package. */
export const sourceOf = (subpath: string): string =>
  subpath === "guidestar" ? "src/index.ts" : `src/public/${subpath.slice("guidestar/".length)}.ts`;
