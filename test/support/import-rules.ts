/** What the files of a room, a folder of src, may import beside each other and the modules at the root of src. */
export interface ImportRule {
  readonly room: string;
  /** Rooms, npm packages and `node:*`: for each, the files of this room that may import it; "all", or a list. */
  readonly may: Readonly<Record<string, "all" | readonly string[]>>;
}

export const importRules: readonly ImportRule[] = [
  // The mathematics: pure and synchronous, so no engine, no packages, no Node.
  { room: "tensor", may: {} },
  { room: "nn", may: { tensor: "all" } },
  { room: "models", may: { tensor: "all", nn: "all" } },
  { room: "diffusion", may: { tensor: "all" } },
  { room: "guidance", may: { tensor: "all", diffusion: "all" } },

  // The engine: a graph to bytes, then bytes to a running program.
  { room: "onnx", may: { tensor: "all" } },
  {
    room: "runtime",
    may: { tensor: "all", onnx: "all", "onnxruntime-node": ["worker.ts"], "node:*": ["node.ts", "worker.ts"] },
  },

  // The work: rooms that don't know each other. Only the loops run programs.
  {
    room: "data",
    may: {
      checkpoint: "all",
      sharp: ["decode.ts"],
      "node:*": "all",
    },
  },
  { room: "training", may: { tensor: "all", diffusion: "all", runtime: ["train.ts"] } },
  { room: "sampling", may: { tensor: "all", diffusion: "all", guidance: "all", runtime: ["sample.ts"] } },

  // Bytes and files.
  { room: "images", may: { fflate: "all", sharp: "all", "node:*": "all" } },
  {
    room: "checkpoint",
    may: {
      tensor: "all",
      nn: "all",
      models: "all",
      diffusion: "all",
      training: "all",
      fflate: "all",
      zod: "all",
      "node:*": "all",
    },
  },

  // Arguments to one call: joins everything.
  {
    room: "cli",
    may: {},
  },
];
