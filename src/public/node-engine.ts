/** Brings Node's engine, onnxruntime-node in a worker thread. It is loaded when a backend is first opened. */
import { provideEngine } from "../runtime/engine.ts";

provideEngine(async () => (await import("../runtime/node.ts")).openBackend());
