import { build, type OutputFile } from "esbuild";
import { root } from "./package.ts";

export interface Bundle {
  /** The code, one ES module. */
  readonly code: OutputFile;
  /** What the bundle would import where it runs, as "file -> module": in a browser there is nothing to import from. */
  readonly missing: readonly string[];
  /** Files that the code is of. */
  readonly files: readonly string[];
}

/** A program that imports the built package by its name, bundled as for a browser. */
export async function bundleForBrowser(program: string): Promise<Bundle> {
  const { metafile, outputFiles } = await build({
    stdin: { contents: program, resolveDir: root },
    bundle: true,
    format: "esm",
    platform: "browser",
    conditions: ["browser"],
    external: ["node:*", "sharp", "onnxruntime-node"],
    metafile: true,
    write: false,
    minify: true,
    tsconfigRaw: {}, // the project's own one maps the names of the package to its sources
  });
  const missing = Object.entries(metafile.inputs).flatMap(([file, { imports }]) =>
    imports.filter(({ external }) => external).map(({ path }) => `${file} -> ${path}`),
  );
  const [output] = Object.values(metafile.outputs);
  return { code: outputFiles[0]!, missing, files: Object.keys(output!.inputs) };
}
