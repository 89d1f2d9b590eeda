import { appendFile, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { writeAtomically } from "../../files/atomic.ts";
import { makeFolder } from "../../files/make-folder.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { TrainingEvent } from "../../training/events.ts";

type StepEvent = Extract<TrainingEvent, { kind: "step" }>;

/** The metrics file of a run: one JSON object per step and line. Denoiser and classifier share it, so each line names its network. */
export interface MetricsFile {
  /** Adds a step. A line that cannot be written, for the disk is full, is lost; that is told once, and training goes on. */
  add(event: StepEvent): Promise<void>;
  /** Adds a line of the loss of the averaged weights on held-out images: `heldOut`. */
  addHeldOut(step: number, heldOut: number): Promise<void>;
  /** Means of the loss, and of what else steps report, over the last hundred steps. */
  recent(): Readonly<Record<string, number>>;
}

const horizon = 100;

/** Opens it for a run that has finished `step` steps. Lines of later ones, which a killed run left behind, are dropped. */
export async function openMetrics(
  path: string,
  network: NetworkRole | "detector",
  step: number,
  tell: (text: string) => void,
): Promise<MetricsFile> {
  makeFolder(dirname(path));
  const before = (await readFile(path, "utf8").catch(() => "")).split("\n").flatMap(parseLine);
  const kept = before.filter((line) => line.network !== network || line.step <= step);
  if (before.length > 0) await writeAtomically(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const values = kept.filter((line) => line.network === network).flatMap(({ metrics }) => (metrics ? [metrics] : []));
  let window = values.slice(-horizon);

  let told = false;
  const lost = (error: Error): void => {
    if (!told) tell(`${path}: metrics cannot be written (${error.message}); training goes on without`);
    told = true;
  };

  const write = (line: object): Promise<void> => appendFile(path, `${JSON.stringify(line)}\n`).catch(lost);
  return {
    addHeldOut: (step, heldOut) => write({ network, step, heldOut }),
    add({ kind: _, loss, metrics, secondsLeft: __, ...event }) {
      const line = { network, ...event, metrics: { loss, ...metrics } };
      window = [...window, line.metrics].slice(-horizon);
      return write(line);
    },
    recent: () =>
      Object.fromEntries(
        Object.keys(window[0] ?? {}).map((name) => [
          name,
          window.reduce((sum, metrics) => sum + (metrics[name] ?? Number.NaN), 0) / window.length,
        ]),
      ),
  };
}

interface Line {
  readonly network: string;
  readonly step: number;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** A line of the file; none where it is empty, or cut short by a crash. */
function parseLine(text: string): Line[] {
  try {
    return [JSON.parse(text) as Line];
  } catch {
    return [];
  }
}
