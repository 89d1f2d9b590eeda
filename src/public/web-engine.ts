/** Brings the engine of browsers. Where there are no workers of theirs, as on a server that makes pages, another one may have been brought. */
import { provideEngine } from "../runtime/engine.ts";

if ("Worker" in globalThis) provideEngine(async () => (await import("../runtime/web/backend.ts")).openBackend());
