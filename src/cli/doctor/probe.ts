/** Runs one small program on the device that is named, in a process of its own, and says how that went. See run.ts. */
import { float32 } from "../../ndarray.ts";
import type { Device } from "../../runtime/backend.ts";
import { compile } from "../../runtime/compile.ts";
import { openBackend } from "../../runtime/node.ts";
import { f32, trace } from "../../tensor/trace.ts";

try {
  const backend = await openBackend({ device: process.argv[2] as Device, threads: 1 });
  const program = await compile(
    trace({ x: f32(2) }, ({ x }) => ({ y: x.mul(2) })),
    backend,
  );
  const { y } = await program.run({ x: float32([2], [1, 2]) });
  if (y.data[1] !== 4) throw new Error(`2 times 2 gave ${y.data[1]}`);
  process.send!({});
} catch (error) {
  process.send!({ error: (error as Error).message });
}
