import type { Terminal } from "./command.ts";

/** 3725 -> "1 h 02 min". */
export function duration(seconds: number): string {
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** `done` of `total` as a bar of `width` characters. */
function bar(done: number, total: number, width: number): string {
  const filled = Math.round((width * done) / Math.max(total, 1));
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** How far some work is, and messages beside it. */
export interface Progress {
  /** Shows `done` of `total`: in place on a terminal, else every ten seconds in a line of its own. */
  update(done: number, total: number, text: string): void;
  /** A message that stays. */
  say(text: string): void;
  /** Ends some work, and the line in which it was shown; what comes next is shown at once. */
  end(): void;
}

const repaint = 100;
const lineEvery = 10_000;

export function progress({ columns, message }: Terminal): Progress {
  let shown = "";
  let last = Number.NEGATIVE_INFINITY;
  return {
    update(done, total, text) {
      const now = performance.now();
      if (now - last < (columns === undefined ? lineEvery : repaint) && done < total) return;
      last = now;
      if (columns === undefined) return message(`${done}/${total}  ${text}\n`);
      const line = `${bar(done, total, Math.min(24, Math.floor(columns / 4)))} ${done}/${total}  ${text}`;
      shown = line.slice(0, columns - 1);
      message(`\r\x1b[K${shown}`);
    },
    say: (text) => message(shown ? `\r\x1b[K${text}\n${shown}` : `${text}\n`),
    end() {
      if (shown) message("\n");
      shown = "";
      last = Number.NEGATIVE_INFINITY;
    },
  };
}
