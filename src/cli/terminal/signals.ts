/** Milliseconds in which a signal that comes again is the same one: a closed terminal sends SIGHUP, and so does the shell in it; npm passes Ctrl-C on. */
const sameWish = 500;

/**
 * A signal that Ctrl-C (SIGINT), SIGTERM and a closed terminal (SIGHUP) raise: the command puts things in order. When one comes again, the
 * process ends as if nobody had listened.
 *
 * @param tell is told once
 */
export function stopSignal(tell: (text: string) => void): AbortSignal {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  let first: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      tell("\nstopping; once more to stop at once\n");
      controller.abort(new DOMException("interrupted", "AbortError"));
      return;
    }
    if (now - first < sameWish) return;
    for (const each of signals) process.removeListener(each, stop);
    process.kill(process.pid, signal);
  };
  for (const each of signals) process.on(each, stop);
  return controller.signal;
}
