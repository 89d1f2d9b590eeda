import { ModelError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { oneLine } from "../one-line.ts";
import { type ByteSource, bytesOf, readPart, viewOf } from "./bytes.ts";
import type { LazyTensor } from "./lazy-tensor.ts";
import { Cursor } from "./pickle/cursor.ts";
import type { PickleNames } from "./pickle/machine.ts";
import { Opaque } from "./pickle/opaque.ts";
import { unpickle } from "./pickle/unpickle.ts";
import { chooseStateDict, type StateDict, shown, stateDictsOf, unreadTensor } from "./state-dicts.ts";
import { ELEMENT_TYPES, type ElementType, Storage, StoredTensor } from "./torch-tensor.ts";
import { formatOf } from "./weights-format.ts";
import { openZip } from "./zip.ts";

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** The globals that weights need, each with our own stand-in. */
function allowedGlobals(file: string): ReadonlyMap<string, unknown> {
  const rebuildTensor = ([storage, offset, shape, strides]: unknown[]) => {
    if (storage instanceof Opaque) return new Opaque(storage.name);
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
    ["collections.defaultdict", () => new Map()],
    ["torch.Size", ([sizes]: unknown[]) => sizes],
    ["torch._utils._rebuild_tensor", rebuildTensor],
    ["torch._utils._rebuild_tensor_v2", rebuildTensor],
    ["torch._utils._rebuild_parameter", ([tensor]: unknown[]) => tensor],
    ["torch._utils._rebuild_parameter_with_state", ([tensor]: unknown[]) => tensor],
    ...Object.entries(ELEMENT_TYPES),
  ]);
}

/**
 * A persistent id: ("storage", class, key, device, elements[, view]); the class is its ElementType by now. Storages of other classes, and ids of
 * other things, are opaque.
 */
function storageId(id: unknown, file: string) {
  const [kind, type, key, , count, view] = Array.isArray(id) ? (id as unknown[]) : [];
  if (kind !== "storage") return new Opaque("something that is not a tensor's storage");
  if (type instanceof Opaque) return new Opaque(`torch.Tensor of ${type.name}`);
  const known = Object.values(ELEMENT_TYPES).find((t) => t === type);
  if (!known || typeof key !== "string" || !isCount(count))
    throw new ModelError(`${file}: the storage of a tensor is damaged`);
  return { type: known, key, count, view };
}

/** What is in a zip that holds no checkpoint of PyTorch, and what to do; where that is known. */
function insteadOf(names: readonly string[]): string {
  const inside = names.find((name) => /\.(pt|pth|ckpt|safetensors|bin|pkl)$/i.test(name));
  if (inside !== undefined) return `; it holds ${oneLine(inside, 80)}: unpack it first`;
  return names.length > 0 && names.every((name) => name.endsWith(".npy"))
    ? "; it is an npz of NumPy: write its arrays as safetensors, by safetensors.numpy.save_file(arrays, FILE)"
    : "";
}

/** The zip format of PyTorch 1.6 and later: `NAME/data.pkl` and a file `NAME/data/KEY` per storage. */
function openZipFormat(source: ByteSource, file: string): unknown {
  const zip = openZip(source, file, ModelError);
  const pickle = zip.names.find((name) => name.endsWith("/data.pkl"));
  if (!pickle)
    throw new ModelError(
      `${file}: a zip, but not one that torch.save wrote (there is no data.pkl in it)${insteadOf(zip.names)}`,
    );
  const folder = pickle.slice(0, -"data.pkl".length);
  if (zip.names.includes(`${folder}byteorder`))
    expectLittleEndian(new TextDecoder().decode(zip.read(`${folder}byteorder`)), file);
  let last: { entry: string; content: ByteSource } | undefined;
  const persistent = (id: unknown) => {
    const found = storageId(id, file);
    if (found instanceof Opaque) return found;
    const { type, key, count } = found;
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

/** Is a value of NumPy, or a list or dictionary of some? */
function holdsNumpy(value: unknown, depth = 0): boolean {
  if (value instanceof Opaque) return /^numpy\b/.test(value.name);
  if (depth > 3) return false;
  const parts = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : [];
  return parts.slice(0, 100).some((part) => holdsNumpy(part, depth + 1));
}

const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const NO_NAMES: PickleNames = { globals: new Map(), persistent: () => null };

/** The format before: pickles (magic number, version, system, object, keys), then for each key the storage's size and elements. */
function openLegacyFormat(source: ByteSource, file: string): unknown {
  const cursor = new Cursor(source, file);
  const magic = unpickle(cursor, NO_NAMES);
  if (magic !== LEGACY_MAGIC) {
    const what = magic instanceof Opaque ? ` (it holds "${magic.name}", of which nothing is executed)` : "";
    const advice = holdsNumpy(magic)
      ? "it is of NumPy: write its arrays as safetensors, by safetensors.numpy.save_file(arrays, FILE)"
      : "save it with torch.save(model.state_dict(), FILE)";
    throw new ModelError(`${file}: a pickle, but not one that torch.save wrote${what}; ${advice}`);
  }
  const version = unpickle(cursor, NO_NAMES);
  if (version !== 1001) throw new ModelError(`${file}: format version ${shown(version)}, expected 1001`);
  const system = unpickle(cursor, NO_NAMES);
  expectLittleEndian(system instanceof Map && system.get("little_endian") === false ? "big" : "little", file);

  const roots = new Map<string, { type: ElementType; start?: number; count?: number }>();
  const persistent = (id: unknown) => {
    const found = storageId(id, file);
    if (found instanceof Opaque) return found;
    const { type, key, count, view } = found;
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
  stateDictsOf(object, file); // throws where there is none, before what follows it is read

  const keys = unpickle(cursor, NO_NAMES);
  if (!Array.isArray(keys)) throw new ModelError(`${file}: the list of storages is missing`);
  let position = cursor.position;
  for (const key of keys as unknown[]) {
    const root = typeof key === "string" ? roots.get(key) : undefined;
    const storage = `${file}: storage ${shown(key)}`;
    // That of a tensor of an unknown class: how long it is only its class tells, and so where the next one begins.
    if (!root) throw new ModelError(`${storage} belongs to no tensor that can be read`);
    root.count = Number(viewOf(readPart(source, position, 8, storage, ModelError)).getBigInt64(0, true));
    root.start = position + 8;
    position = root.start + root.count * root.type.width;
  }
  return object;
}

/** What to read of a checkpoint that holds more than weights. */
export interface TorchOptions {
  /** The entry whose value is the state dict, where several are: "model", "ema" ... */
  readonly entry?: string | undefined;
}

/** The object in a file of `torch.save`, as plain data. */
function openObject(source: ByteSource, file: string): unknown {
  const format = formatOf(source, file);
  if (format === "zip") return openZipFormat(source, file);
  if (format === "pickle") return openLegacyFormat(source, file);
  throw new ModelError(
    `${file}: a safetensors file, and not a PyTorch checkpoint: neither a zip nor a pickle; openSafetensors reads it`,
  );
}

/**
 * All dictionaries of tensors in a `.pt` or `.pth` file, wherever they lie in it, of which only shapes are read; an optimizer's are left
 * out. Both formats of `torch.save` are known. Executes nothing; values of other classes are read around. `checkTensors` holds tensors to the
 * file before they are read.
 *
 * @throws ModelError where there is none, which says what the file holds, and for a damaged file; `file` is for errors
 */
export const openStateDicts = (source: ByteSource, file: string): StateDict[] =>
  stateDictsOf(openObject(source, file), file);

/**
 * The state dict in a `.pt` or `.pth` file, tensor by tensor: only shapes are read at once, so that files larger than memory serve.
 * Both formats of `torch.save` are known. Executes nothing: values of classes other than tensors and dictionaries are read around, and are an
 * error where they stand for weights. Throws ModelError for these, for optimizer states, damaged files, tensors that claim more than the
 * file has, and whatever else is not a state dict. One that lies in an entry of a checkpoint is found where it is the only one. `file` is
 * for errors.
 */
export function openTorch(
  source: ByteSource,
  file = "checkpoint",
  { entry }: TorchOptions = {},
): Record<string, LazyTensor> {
  const found = chooseStateDict(openStateDicts(source, file), file, entry);
  checkTensors(found.tensors, source, file);
  for (const [name, kind] of Object.entries(found.unread)) throw unreadTensor(file, name, kind);
  return found.tensors;
}

/** Throws ModelError unless the file has what tensors of its state dicts claim. */
export function checkTensors(tensors: Readonly<Record<string, LazyTensor>>, source: ByteSource, file: string): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    const problem = tensor instanceof StoredTensor ? tensor.problem(source.size) : undefined;
    if (problem) throw new ModelError(`${file}: tensor "${name}": ${problem}`);
  }
}

/** Every tensor of a `.pt` or `.pth` file, as `openTorch` gives them. */
export function readTorch(bytes: Uint8Array, file?: string): Record<string, NDArray<"float32">> {
  const tensors = Object.entries(openTorch(bytesOf(bytes), file));
  return Object.fromEntries(tensors.map(([name, tensor]) => [name, tensor.read()]));
}
