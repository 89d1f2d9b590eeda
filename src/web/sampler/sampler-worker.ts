/**
 * Runs inside a module worker of a page: the model, the engine, tracing and compiling, so that the page gets pictures and nothing else. The
 * engine itself is in a worker of this one.
 */
import "../disposal.ts";
import type { Answer, Request } from "./messages.ts";
import { type Call, work } from "./work.ts";

/** Of a worker's global scope, what is used here: the compiler knows that of a page. */
const scope = globalThis as unknown as {
  onmessage: (event: { readonly data: Request }) => void;
  postMessage(answer: Answer, transfer?: Transferable[]): void;
};

const running = new Map<number, AbortController>();

async function answer(id: number, call: keyof typeof work, args: readonly unknown[]): Promise<void> {
  const ending = new AbortController();
  running.set(id, ending);
  const around: Call<unknown> = {
    signal: ending.signal,
    tell: (event, transfer = []) => scope.postMessage({ id, event }, transfer),
  };
  try {
    const asked = work[call] as (...args: unknown[]) => Promise<unknown>;
    scope.postMessage({ id, value: await asked(...args, around) });
  } catch (error) {
    const { name, message, code } = error as Error & { code?: unknown };
    scope.postMessage({ id, error: { name, message, code: String(code) } });
  } finally {
    running.delete(id);
  }
}

scope.onmessage = ({ data }) => {
  if ("stop" in data) running.get(data.stop)?.abort();
  else void answer(data.id, data.call, data.args);
};
