import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Killed processes are `ending` until the last of their threads has left the system call that it is in, a write for example. */
export type ProcessState = "running" | "ending" | "gone";

/** Which processes have numbers here: those of this container, where it has a space of numbers of its own. Undefined but on Linux. */
export function numberSpace(): string | undefined {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return undefined;
  }
}

/** Tells apart whose processes can be asked about: another machine, an earlier boot of this one, another container, has another text. */
export const machine = (): string => [hostname(), bootOf() ?? "", numberSpace() ?? ""].join(" ");

/** Names the time since the machine was last started. */
export const bootOf = (): string | undefined => textOf("/proc/sys/kernel/random/boot_id")?.trim();

/**
 * When a process of this machine started: the boot, and the clock tick in it. No other process of the same number has the same. Undefined
 * where there is none, or the system is not Linux.
 */
export function startOf(id: number): string | undefined {
  const boot = bootOf();
  const status = statusOf(id);
  return boot && status && `${boot} ${status.started}`;
}

/**
 * State of the process that has a number on this machine, and started at that moment where it is given (see `startOf`).
 *
 * Linux tells of processes that have ended and that their parent has not asked for yet ("zombies"): they are gone. Elsewhere they count as
 * running, and so does any process that was given the number later.
 */
export function processState(id: number, started?: string): ProcessState {
  try {
    process.kill(id, 0);
  } catch (error) {
    // EPERM: it is another user's.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return "gone";
  }
  const status = statusOf(id);
  // Not Linux; or an administrator hides other users' processes.
  if (!status) return "running";
  if (started !== undefined && startOf(id) !== started) return "gone";
  if (status.ended) return status.threads > 1 ? "ending" : "gone";
  return status.exiting || isKilled(id) ? "ending" : "running";
}

interface ProcessStatus {
  /** The first thread has ended, and with it, in most programs, the others. */
  readonly ended: boolean;
  readonly exiting: boolean;
  readonly threads: number;
  /** Clock ticks from the boot of the machine. */
  readonly started: string;
}

/** What /proc/ID/stat says (proc(5), proc_pid_stat(5)). */
export function parseStatus(text: string): ProcessStatus {
  // The second field is the program's name in parentheses, and may hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): string => fields[number - 3]!;
  return {
    ended: field(3) === "Z" || field(3) === "X",
    exiting: (Number(field(9)) & 0x4) !== 0, // PF_EXITING
    threads: Number(field(20)),
    started: field(22),
  };
}

function statusOf(id: number): ProcessStatus | undefined {
  const text = textOf(`/proc/${id}/stat`);
  return text ? parseStatus(text) : undefined;
}

/** Has SIGKILL been sent to a process that has not begun to end? */
function isKilled(id: number): boolean {
  const pending = /^SigPnd:\s*([0-9a-f]+)$/m.exec(textOf(`/proc/${id}/status`) ?? "");
  return pending !== null && (BigInt(`0x${pending[1]}`) & 0x100n) !== 0n;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
