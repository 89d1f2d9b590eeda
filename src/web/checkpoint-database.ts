import { decodeCheckpoint, encodeCheckpoint, openCheckpoint, stepsToKeep } from "../checkpoint/training-file.ts";
import { ModelError, RuntimeFailure } from "../errors.ts";
import { type ByteSource, bytesOf, viewOf } from "../formats/bytes.ts";
import type { Checkpoint, CheckpointStore, JsonObject, KeptCheckpoint } from "../training/checkpoint.ts";

/** Settings of `checkpointDatabase`. */
export interface CheckpointDatabaseOptions {
  /** Checkpoints that stay, the newest; older ones are removed in the moment in which a new one is safe. 3 by default. */
  readonly keep?: number;
  /** Older ones that stay beside them, at growing distance, to go back to. 3 by default. */
  readonly keepOlder?: number;
  /** Makes the config of a checkpoint that another version wrote one of this version. */
  readonly upgradeConfig?: (config: JsonObject) => JsonObject;
}

const prefix = "guidestar/";
const table = "checkpoints";

/** A checkpoint as the database has it: the file that `checkpointFolder` would write. */
interface Row {
  readonly step: number;
  readonly file: Blob;
}

/**
 * Checkpoints of a run in the browser's own database (IndexedDB), where they outlive the page: the store for `train` in a tab. Each is the
 * file that a run in Node keeps, and which of them stay is decided by the same rule. A save is one transaction: a tab that is closed
 * meanwhile leaves the checkpoints that were there before.
 *
 * @param name of the run, one for each
 */
export function checkpointDatabase(
  name: string,
  { keep = 3, keepOlder = 3, upgradeConfig = (config) => config }: CheckpointDatabaseOptions = {},
): CheckpointStore {
  const pathOf = (step: number): string => `${name}, step ${step}`;
  const kept = (step: number): KeptCheckpoint => ({
    path: pathOf(step),
    step,
    async read() {
      const row = await within(name, "readonly", (rows) => result<Row | undefined>(rows.get(step)));
      if (!row) throw new ModelError(`${pathOf(step)}: the checkpoint is no longer there`);
      const bytes = new Uint8Array(await row.file.arrayBuffer());
      const checkpoint = decodeCheckpoint(bytesOf(bytes), pathOf(step));
      return { ...checkpoint, config: upgradeConfig(checkpoint.config) };
    },
  });
  return {
    async latest(asked) {
      const steps = (await stepsIn(name)).filter((step) => asked === undefined || step === asked);
      for (const step of steps)
        try {
          const row = await within(name, "readonly", (rows) => result<Row>(rows.get(step)));
          const { run } = openCheckpoint(await beginningOf(row.file), pathOf(step));
          return { ...kept(step), config: upgradeConfig(run.config) };
        } catch (error) {
          // Training says so, and passes it over too.
          if (!(error instanceof ModelError) || step === steps.at(-1)) throw error;
        }
      return undefined;
    },
    async all() {
      return (await stepsIn(name)).map(kept);
    },
    async save(checkpoint) {
      const { step } = checkpoint;
      const file = fileOf(checkpoint);
      await within(name, "readwrite", async (rows) => {
        rows.put({ step, file } satisfies Row);
        // What a run left that went back.
        rows.delete(IDBKeyRange.lowerBound(step, true));
        const steps = newestFirst(await result(rows.getAllKeys()));
        const stay = new Set(stepsToKeep(steps, keep, keepOlder));
        for (const old of steps) if (!stay.has(old)) rows.delete(old);
      });
      return pathOf(step);
    },
  };
}

/** Names of the runs of which this browser keeps checkpoints for pages of this origin. */
export async function checkpointDatabases(): Promise<string[]> {
  const all = await indexedDB.databases();
  return all.flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(prefix.length)] : [])).sort();
}

/** Removes all checkpoints of a run. */
export async function removeCheckpoints(name: string): Promise<void> {
  await result(indexedDB.deleteDatabase(prefix + name));
}

function fileOf(checkpoint: Checkpoint): Blob {
  // A part is good until the next one is asked for, so each becomes a blob of its own first.
  return new Blob(Array.from(encodeCheckpoint(checkpoint), (part) => new Blob([part as Uint8Array<ArrayBuffer>])));
}

const stepsIn = async (name: string): Promise<number[]> =>
  newestFirst(await within(name, "readonly", (rows) => result(rows.getAllKeys())));
const newestFirst = (keys: readonly IDBValidKey[]): number[] => keys.map(Number).sort((a, b) => b - a);

/** A file of which the header alone is read, which tells what it is. */
async function beginningOf(file: Blob): Promise<ByteSource> {
  const read = async (length: number): Promise<Uint8Array> => new Uint8Array(await file.slice(0, length).arrayBuffer());
  const first = await read(2 ** 16);
  const length = first.length < 8 ? 0 : 8 + Number(viewOf(first).getBigUint64(0, true));
  const bytes = length > first.length && length <= file.size ? await read(length) : first;
  return { size: file.size, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** Runs requests in one transaction, and resolves when it is safe on the disk. */
async function within<T>(
  name: string,
  mode: IDBTransactionMode,
  work: (rows: IDBObjectStore) => Promise<T>,
): Promise<T> {
  const database = await openDatabase(name);
  try {
    const transaction = database.transaction(table, mode, { durability: "strict" });
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(name, transaction.error));
    });
    done.catch(() => undefined);
    const value = await work(transaction.objectStore(table)).catch((error) => {
      // The transaction says why it failed, where it did.
      throw error instanceof DOMException ? failure(name, error) : error;
    });
    await done;
    return value;
  } finally {
    database.close();
  }
}

async function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(prefix + name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "step" });
  return result(request).catch((error) => {
    throw failure(name, error);
  });
}

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const failure = (name: string, cause: DOMException | null): RuntimeFailure =>
  new RuntimeFailure(
    cause?.name === "QuotaExceededError"
      ? `${name}: the browser has no more room for checkpoints; free some on the disk, or keep fewer (keep, keepOlder)`
      : `${name}: the browser's database of checkpoints failed: ${cause?.message ?? "it was interrupted"}`,
    { cause },
  );
