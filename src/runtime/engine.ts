import { UsageError } from "../errors.ts";
import type { Backend } from "./backend.ts";

/** What runs programs where the caller gives no backend. */
let open: (() => Promise<Backend>) | undefined;

/**
 * Names the engine that runs programs where a call gives no `backend`. An entry of the package calls it: in Node, `guidestar` and
 * `guidestar/node` bring onnxruntime-node. The last call counts.
 *
 * @param opener opens a backend; it is called when one is first needed, once for each piece of work, which closes what it opened
 */
export function provideEngine(opener: () => Promise<Backend>): void {
  open = opener;
}

/** A backend of the engine that the entry brought. Throws UsageError where none did. */
export async function openEngine(): Promise<Backend> {
  if (!open)
    throw new UsageError(
      'no engine to run programs on: expected a `backend` in the options, or an engine that was provided before. In Node, import "guidestar" or "guidestar/node", which bring one; elsewhere call provideEngine() of "guidestar/tensor" once, or give `backend`',
    );
  return open();
}
