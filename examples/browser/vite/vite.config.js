import { defineConfig } from "vite";

export default defineConfig({
  // Else Vite's server bundles the package beforehand, and its workers are not found.
  optimizeDeps: { exclude: ["guidestar"] },
  // The workers are modules, which load parts of themselves when they are needed.
  worker: { format: "es" },
});
