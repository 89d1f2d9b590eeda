import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The page is built of the built package, and becomes a part of it; `guidestar page` copies it. */
export default defineConfig({
  root: here("."),
  base: "./",
  plugins: [svelte()],
  resolve: {
    alias: [
      { find: /^guidestar\/(\w+)$/, replacement: here("../dist/public/$1.js") },
      // The page's engine is in the sampler's worker.
      { find: "./web-engine.js", replacement: here("src/no-engine.ts") },
    ],
  },
  worker: { format: "es" },
  build: {
    outDir: here("../dist/page"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { page: here("index.html"), element: here("src/element.ts") },
      output: { entryFileNames: ({ name }) => (name === "element" ? "element.js" : "assets/[name]-[hash].js") },
    },
  },
});
