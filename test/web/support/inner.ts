/** The functions of page.ts in a worker of the page, which answers what it is asked. */
import "./page.ts";

const scope = globalThis as unknown as {
  inPage: Record<string, (...args: unknown[]) => unknown>;
  onmessage: (event: { data: [name: string, args: unknown[]] }) => void;
  postMessage(message: unknown): void;
};
scope.onmessage = async ({ data: [name, args] }) => {
  try {
    scope.postMessage({ value: await scope.inPage[name]!(...args) });
  } catch (error) {
    scope.postMessage({ error: String(error) });
  }
};
