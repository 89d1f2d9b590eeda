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

/** What programs import: "guidestar", "guidestar/tensor", ...; the workers of `guidestar/web` are started, not imported. */
export const subpaths: readonly string[] = Object.keys(manifest.exports)
  .filter((path) => path !== "./package.json" && !path.startsWith("./web/"))
  .map((path) => path.replace(/^\./, "guidestar"));

/** When the newest file of a folder changed, in ms. */
const newest = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs),
  );

/** When a file of dist was built, in ms; the compiler writes all of them at each build. */
const built = (...path: string[]): number => {
  const file = join(root, "dist", ...path);
  return existsSync(file) ? statSync(file).mtimeMs : 0;
};

/** Is dist what src is now? */
export const isBuilt = (): boolean => built("index.js") >= newest(join(root, "src"));

/** The same of the page that `guidestar page` copies. */
export function checkPageBuilt(): void {
  if (built("page", "index.html") < Math.max(built("index.js"), newest(join(root, "page"))))
    throw new Error("dist/page is older than what it is built of: run `npm run build` first, as `npm test` does");
}

/** Tests of the built package would pass or fail for what it was before: throws where dist is older than src. */
export function checkBuilt(): void {
  if (!isBuilt()) throw new Error("dist is older than src: run `npm run build` first, as `npm test` does");
}

/** Source of what a subpath exports in Node, relative to the package. */
export const sourceOf = (subpath: string): string =>
  subpath === "guidestar" ? "src/index.ts" : `src/public/${subpath.slice("guidestar/".length)}.ts`;
