/** What the files of a room, a folder of src, may import beside each other and the modules at the root of src. */
export interface ImportRule {
  readonly room: string;
  /** Rooms, npm packages and `node:*`, each with the files of this room that may import it. */
  readonly may: Readonly<Record<string, "all" | readonly string[]>> | "everything";
}

export const importRules: readonly ImportRule[] = [
  // The mathematics: pure and synchronous, so no engine, no Node, and no packages, but for the schemas of configs.
  { room: "tensor", may: {} },
  { room: "nn", may: { tensor: "all" } },
  {
    room: "models",
    may: {
      tensor: "all",
      nn: "all",
      zod: [
        "adm-classifier.ts",
        "adm-super-resolution.ts",
        "adm-unet.ts",
        "adm/schema.ts",
        "features/residual.ts",
        "pixel-transformer.ts",
      ],
    },
  },
  { room: "diffusion", may: { tensor: "all" } },
  { room: "guidance", may: { tensor: "all", diffusion: "all" } },
  { room: "samplers", may: { tensor: "all", diffusion: "all", guidance: "all" } },

  // The engine: a graph becomes bytes, bytes become a program.
  { room: "onnx", may: { tensor: "all" } },
  {
    room: "runtime",
    may: {
      tensor: "all",
      onnx: "all",
      files: ["kept-program.ts", "program-cache.ts", "weights-on-disk.ts"],
      "onnxruntime-common": ["programs.ts"],
      "onnxruntime-node": ["worker.ts"],
      "onnxruntime-web": ["web/worker.ts"],
      "node:*": ["node.ts", "kept-program.ts", "program-cache.ts", "weights-on-disk.ts", "worker.ts"],
    },
  },

  // The sampling loop takes functions: it runs programs, and knows neither models nor files.
  {
    room: "draw",
    may: {
      tensor: "all",
      diffusion: "all",
      guidance: "all",
      samplers: "all",
      runtime: ["draw.ts", "images.ts", "step-graph.ts"],
    },
  },

  // Bytes and files: no model in them.
  { room: "formats", may: { fflate: ["npz.ts", "zip.ts"] } },
  {
    room: "files",
    may: {
      formats: ["atomic.ts", "file-source.ts"],
      "node:*": [
        "atomic.ts",
        "cache.ts",
        "file-source.ts",
        "file-state.ts",
        "lock.ts",
        "make-folder.ts",
        "partial.ts",
        "process.ts",
        "steady.ts",
        "verified.ts",
        "write-failure.ts",
      ],
    },
  },
  {
    room: "images",
    may: { formats: "all", fflate: ["png.ts"], sharp: ["sharp.ts"], "node:*": ["plain-png.ts"] },
  },
  {
    room: "checkpoint",
    may: {
      tensor: "all",
      nn: "all",
      models: "all",
      diffusion: "all",
      guidance: ["schema.ts"],
      samplers: ["schema.ts"],
      formats: "all",
      files: "all",
      training: ["average-folder.ts", "run-folder.ts", "training-file.ts"],
      fflate: ["model-files.ts"],
      zod: ["detector.ts", "schema.ts"],
      "node:*": ["average-folder.ts", "detector-folder.ts", "import.ts", "model-folder.ts", "run-folder.ts"],
    },
  },

  // The work, in rooms that don't know each other. Only the loops run programs.
  {
    room: "data",
    may: {
      files: ["cache.ts", "containers/archives.ts", "source.ts"],
      formats: "all",
      images: "all",
      "@uwdata/flechette": ["containers/arrow.ts"],
      fzstd: ["containers/parquet.ts"],
      hyparquet: ["containers/parquet.ts", "containers/parquet-check.ts"],
      "node:*": [
        "cache.ts",
        "containers/archives.ts",
        "containers/disk.ts",
        "containers/parquet.ts",
        "arrays/idx.ts",
        "pack.ts",
        "source.ts",
      ],
    },
  },
  {
    room: "training",
    may: { tensor: "all", diffusion: "all", runtime: ["held-out.ts", "step/program.ts", "train.ts"] },
  },
  {
    room: "sampling",
    may: {
      tensor: "all",
      diffusion: "all",
      guidance: "all",
      nn: "all",
      samplers: "all",
      models: "all",
      checkpoint: "all",
      draw: "all",
      runtime: ["encode.ts", "settings.ts", "trajectories.ts"],
      zod: ["run-spec.ts"],
    },
  },
  {
    room: "evaluation",
    may: {
      tensor: "all",
      diffusion: "all",
      nn: "all",
      models: "all",
      checkpoint: "all",
      formats: "all",
      runtime: [
        "accuracy.ts",
        "detectors/network-detector.ts",
        "detectors/onnx-detector.ts",
        "detectors/pixel-detector.ts",
        "likelihood/likelihood.ts",
        "metrics/products.ts",
        "metrics/statistics.ts",
      ],
      zod: ["detectors/declaration.ts"],
    },
  },
  {
    room: "recipes",
    may: {
      nn: "all",
      models: "all",
      diffusion: "all",
      guidance: ["student.ts"],
      data: "all",
      training: "all",
      checkpoint: "all",
    },
  },

  // What browsers have in place of a disk and of a command line.
  {
    room: "web",
    may: {
      models: "all",
      formats: "all",
      training: ["checkpoint-database.ts"],
      checkpoint: "all",
      guidance: ["sampler/work.ts"],
      samplers: ["sampler/work.ts"],
      sampling: ["sampler/attributes.ts", "sampler/element.ts", "sampler/sampler.ts", "sampler/work.ts"],
      images: ["sampler/element.ts", "sampler/sampler.ts", "sampler/sheet.ts", "sampler/work.ts"],
      runtime: ["sampler/recent-programs.ts", "sampler/sampler.ts", "sampler/work.ts"],
    },
  },

  // What other packages import, and the command line: here all rooms meet.
  { room: "public", may: "everything" },
  { room: "cli", may: "everything" },
];
