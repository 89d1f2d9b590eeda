import { ModelError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { type ByteSource, bytesOf, readPart, viewOf } from "./bytes.ts";
import type { LazyTensor } from "./lazy-tensor.ts";
import { Cursor } from "./pickle/cursor.ts";
import type { PickleNames } from "./pickle/machine.ts";
import { unpickle } from "./pickle/unpickle.ts";
import { ELEMENT_TYPES, type ElementType, Storage, StoredTensor } from "./torch-tensor.ts";
import { openZip } from "./zip.ts";

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** A value in a message. Of others than text and numbers nothing is shown: tuples of one tuple twice, many deep, are text without end. */
const shown = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "something else";

/** The globals that a checkpoint may name, each with our own stand-in. */
function allowedGlobals(file: string): ReadonlyMap<string, unknown> {
  const rebuildTensor = ([storage, offset, shape, strides]: unknown[]) => {
    if (
      !(storage instanceof Storage && isCount(offset) && areCounts(shape) && areCounts(strides)) ||
      shape.length !== strides.length
    )
      throw new ModelError(`${file}: a tensor's storage, offset, shape or strides are damaged`);
    return new StoredTensor(storage, offset, shape, strides);
  };
  const orderedDict = ([pairs = []]: unknown[]) => {
    if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && pair.length === 2))
      throw new ModelError(`${file}: an OrderedDict is damaged`);
    return new Map(pairs);
  };
  return new Map<string, unknown>([
    ["collections.OrderedDict", orderedDict],
    ["torch._utils._rebuild_tensor", rebuildTensor],
    ["torch._utils._rebuild_tensor_v2", rebuildTensor],
    ["torch._utils._rebuild_parameter", ([tensor]: unknown[]) => tensor],
    ...Object.entries(ELEMENT_TYPES),
  ]);
}

/** A persistent id: ("storage", class, key, device, elements[, view]); the class is its ElementType by now. */
function storageId(id: unknown, file: string) {
  const [kind, type, key, , count, view] = Array.isArray(id) ? (id as unknown[]) : [];
  const known = Object.values(ELEMENT_TYPES).find((t) => t === type);
  if (kind !== "storage" || !known || typeof key !== "string" || !isCount(count))
    throw new ModelError(`${file}: refers to something that is not a tensor's storage; refused`);
  return { type: known, key, count, view };
}

/** The zip format of PyTorch 1.6 and later: `NAME/data.pkl` and a file `NAME/data/KEY` per storage. */
function openZipFormat(source: ByteSource, file: string): unknown {
  const zip = openZip(source, file, ModelError);
  const pickle = zip.names.find((name) => name.endsWith("/data.pkl"));
  if (!pickle) throw new ModelError(`${file}: a zip, but not one that torch.save wrote (there is no data.pkl in it)`);
  const folder = pickle.slice(0, -"data.pkl".length);
  if (zip.names.includes(`${folder}byteorder`))
    expectLittleEndian(new TextDecoder().decode(zip.read(`${folder}byteorder`)), file);
  let last: { entry: string; content: ByteSource } | undefined;
  const persistent = (id: unknown) => {
    const { type, key, count } = storageId(id, file);
    const entry = `${folder}data/${key}`;
    return new Storage(
      type,
      count,
      () => (zip.size(entry) ?? 0) / type.width,
      (offset, length) => {
        if (last?.entry !== entry) last = { entry, content: zip.open(entry) };
        return last.content.read(offset, length);
      },
    );
  };
  return unpickle(new Cursor(bytesOf(zip.read(pickle)), file), { globals: allowedGlobals(file), persistent });
}

function expectLittleEndian(order: string, file: string): void {
  if (order !== "little") throw new ModelError(`${file}: was written on a big-endian machine, which is not supported`);
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const NO_NAMES: PickleNames = { globals: new Map(), persistent: () => null };

/** The format before: pickles (magic number, version, system, object, keys), then for each key the storage's size and elements. */
function openLegacyFormat(source: ByteSource, file: string): unknown {
  const cursor = new Cursor(source, file);
  if (unpickle(cursor, NO_NAMES) !== LEGACY_MAGIC)
    throw new ModelError(
      `${file}: a pickle, but not one that torch.save wrote; save it with torch.save(model.state_dict(), FILE)`,
    );
  const version = unpickle(cursor, NO_NAMES);
  if (version !== 1001) throw new ModelError(`${file}: format version ${shown(version)}, expected 1001`);
  const system = unpickle(cursor, NO_NAMES);
  expectLittleEndian(system instanceof Map && system.get("little_endian") === false ? "big" : "little", file);

  const roots = new Map<string, { type: ElementType; start?: number; count?: number }>();
  const persistent = (id: unknown) => {
    const { type, key, count, view } = storageId(id, file);
    const root = roots.get(key) ?? { type };
    roots.set(key, root);
    const offset = Array.isArray(view) ? view[1] : 0; // a view of a larger storage: (its key, offset, elements)
    if (!isCount(offset)) throw new ModelError(`${file}: storage ${key} is a damaged view`);
    return new Storage(
      type,
      count,
      () => {
        const { start = source.size, count: there = 0 } = root;
        const inFile = Math.min(there, Math.floor((source.size - start) / type.width));
        return root.type === type ? Math.max(0, Math.min(count, inFile - offset)) : 0;
      },
      (at, length) =>
        readPart(source, root.start! + offset * type.width + at, length, `${file}: storage ${key}`, ModelError),
    );
  };
  const object = unpickle(cursor, { globals: allowedGlobals(file), persistent });

  const keys = unpickle(cursor, NO_NAMES);
  if (!Array.isArray(keys)) throw new ModelError(`${file}: the list of storages is missing`);
  let position = cursor.position;
  for (const key of keys as unknown[]) {
    const root = typeof key === "string" ? roots.get(key) : undefined;
    const storage = `${file}: storage ${shown(key)}`;
    if (!root) throw new ModelError(`${storage} belongs to no tensor`);
    root.count = Number(viewOf(readPart(source, position, 8, storage, ModelError)).getBigInt64(0, true));
    root.start = position + 8;
    position = root.start + root.count * root.type.width;
  }
  return object;
}

/** Keys of an optimizer's state dict. */
const isOptimizerState = (object: ReadonlyMap<unknown, unknown>): boolean =>
  object.has("state") && object.has("param_groups");

const isStateDict = (object: unknown): object is ReadonlyMap<string, StoredTensor> =>
  object instanceof Map &&
  object.size > 0 &&
  Array.from(object).every(([name, value]) => typeof name === "string" && value instanceof StoredTensor);

const advice = "write it with torch.save(model.state_dict(), FILE)";

/** The state dict that a checkpoint is, or the one under `entry`, or the only one among its entries. */
function findStateDict(object: unknown, file: string, entry: string | undefined): ReadonlyMap<string, StoredTensor> {
  if (!(object instanceof Map))
    throw new ModelError(`${file}: expected a state dict (names and tensors), but it holds something else; ${advice}`);
  if (isOptimizerState(object))
    throw new ModelError(
      `${file}: this is an optimizer's state, not weights; give the file of the model or of its moving average (such as ema_*.pt)`,
    );
  const whole: ReadonlyMap<unknown, unknown> = object;
  if (entry === undefined && isStateDict(whole)) return whole;
  const inside = Array.from(whole).flatMap(([name, value]) => (isStateDict(value) ? [{ name, value }] : []));
  const names = inside.map(({ name }) => shown(name)).join(", ");
  const chosen = entry === undefined ? inside : inside.filter(({ name }) => name === entry);
  if (chosen.length === 1) return chosen[0]!.value;
  if (entry !== undefined)
    throw new ModelError(`${file}: no entry "${entry}" that is a state dict; there are: ${names || "none"}`);
  if (chosen.length > 1)
    throw new ModelError(`${file}: holds several state dicts: ${names}; say which one is meant (--entry NAME)`);
  const [odd] = Array.from(whole).find(([, value]) => !(value instanceof StoredTensor)) ?? [];
  throw new ModelError(
    odd === undefined
      ? `${file}: expected a state dict (names and tensors) but it is empty; ${advice}`
      : `${file}: "${shown(odd)}" is not a tensor; expected a state dict (names and tensors), also under an entry such as "model"; ${advice}`,
  );
}

/** What to read of a checkpoint that holds more than weights. */
export interface TorchOptions {
  /** The entry whose value is the state dict, where several are: "model", "ema" ... */
  readonly entry?: string | undefined;
}

/**
 * The state dict in a `.pt` or `.pth` file, tensor by tensor: only shapes are read at once, so that files larger than memory serve.
 * Both formats of `torch.save` are known. Executes nothing: a pickle that names anything but tensors and ordered dictionaries
 * is refused with a ModelError, as are optimizer states, damaged files, tensors that claim more than the file has, and whatever else
 * is not a state dict. One that lies in an entry of a checkpoint is found where it is the only one. `file` is for errors.
 */
export function openTorch(
  source: ByteSource,
  file = "checkpoint",
  { entry }: TorchOptions = {},
): Record<string, LazyTensor> {
  const start = viewOf(readPart(source, 0, 4, file, ModelError)).getUint32(0);
  const isZip = start === 0x504b0304; // "PK"
  if (!isZip && start >>> 24 !== 0x80)
    throw new ModelError(`${file}: not a PyTorch checkpoint: neither a zip nor a pickle`);
  const tensors = findStateDict(isZip ? openZipFormat(source, file) : openLegacyFormat(source, file), file, entry);
  for (const [name, tensor] of tensors) {
    const problem = tensor.problem(source.size);
    if (problem) throw new ModelError(`${file}: tensor "${name}": ${problem}`);
  }
  return Object.fromEntries(tensors);
}

/** Every tensor of a `.pt` or `.pth` file, as `openTorch` gives them. */
export function readTorch(bytes: Uint8Array, file?: string): Record<string, NDArray<"float32">> {
  const tensors = Object.entries(openTorch(bytesOf(bytes), file));
  return Object.fromEntries(tensors.map(([name, tensor]) => [name, tensor.read()]));
}
