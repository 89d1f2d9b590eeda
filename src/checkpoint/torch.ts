import { ModelError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf, stridesOf } from "../ndarray.ts";
import { type ByteSource, bytesOf, elementsOf, readPart, viewOf } from "./bytes.ts";
import { bfloat16ToFloat32, halfToFloat32 } from "./float16.ts";
import { Cursor, type PickleNames, unpickle } from "./pickle.ts";
import { openZip } from "./zip.ts";

/** How a storage class of PyTorch keeps its elements. */
interface ElementType {
  readonly width: number;
  toFloat32(bytes: Uint8Array): Float32Array;
}

const ELEMENT_TYPES: Record<string, ElementType> = {
  "torch.FloatStorage": { width: 4, toFloat32: (bytes) => elementsOf(Float32Array, bytes) },
  "torch.DoubleStorage": { width: 8, toFloat32: (bytes) => Float32Array.from(elementsOf(Float64Array, bytes)) },
  "torch.HalfStorage": { width: 2, toFloat32: (bytes) => halfToFloat32(elementsOf(Uint16Array, bytes)) },
  "torch.BFloat16Storage": { width: 2, toFloat32: (bytes) => bfloat16ToFloat32(elementsOf(Uint16Array, bytes)) },
  "torch.LongStorage": { width: 8, toFloat32: (bytes) => Float32Array.from(elementsOf(BigInt64Array, bytes), Number) },
  "torch.IntStorage": { width: 4, toFloat32: (bytes) => Float32Array.from(elementsOf(Int32Array, bytes)) },
  "torch.ShortStorage": { width: 2, toFloat32: (bytes) => Float32Array.from(elementsOf(Int16Array, bytes)) },
  "torch.CharStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(elementsOf(Int8Array, bytes)) },
  "torch.ByteStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(bytes) },
  "torch.BoolStorage": { width: 1, toFloat32: (bytes) => Float32Array.from(bytes) },
};

/** Where the elements of tensors are; several tensors may share one. Read on demand. */
class Storage {
  readonly type: ElementType;
  readonly count: number;
  readonly read: () => Uint8Array;
  constructor(type: ElementType, count: number, read: () => Uint8Array) {
    this.type = type;
    this.count = count;
    this.read = read;
  }
}

/** A tensor of a checkpoint, not read yet: a strided window on a storage. */
class StoredTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
  constructor(storage: Storage, offset: number, shape: Shape, strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /** Elements as float32, row-major; integers and float64 are rounded. */
  read(): NDArray<"float32"> {
    const { type } = this.storage;
    const count = sizeOf(this.shape);
    const bytes = this.storage.read().subarray(this.offset * type.width, (this.offset + this.reach()) * type.width);
    const values = type.toFloat32(bytes);
    return float32(this.shape, this.#isContiguous() ? values : gather(values, this.shape, this.strides, count));
  }

  /** How many elements from the first to the last one used. */
  reach(): number {
    if (sizeOf(this.shape) === 0) return 0;
    return 1 + this.shape.reduce((sum, n, axis) => sum + (n - 1) * this.strides[axis]!, 0);
  }

  #isContiguous(): boolean {
    const dense = stridesOf(this.shape);
    return this.shape.every((n, axis) => n <= 1 || this.strides[axis] === dense[axis]);
  }
}

function gather(values: Float32Array, shape: Shape, strides: readonly number[], count: number): Float32Array {
  const out = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = 0; i < count; i++) {
    out[i] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

/** The globals that a checkpoint may name, each with our own stand-in. */
function allowedGlobals(file: string): ReadonlyMap<string, unknown> {
  const rebuildTensor = ([storage, offset, shape, strides]: unknown[]) => {
    if (
      !(storage instanceof Storage && isCount(offset) && areCounts(shape) && areCounts(strides)) ||
      shape.length !== strides.length
    )
      throw new ModelError(`${file}: a tensor's storage, offset, shape or strides are damaged`);
    const tensor = new StoredTensor(storage, offset, shape, strides);
    if (offset + tensor.reach() > storage.count)
      throw new ModelError(
        `${file}: a tensor of shape [${shape}], strides [${strides}], offset ${offset} reaches beyond its storage of ${storage.count} elements`,
      );
    return tensor;
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
  const persistent = (id: unknown) => {
    const { type, key, count } = storageId(id, file);
    return new Storage(type, count, () => {
      const bytes = zip.read(`${folder}data/${key}`);
      if (bytes.length !== count * type.width)
        throw new ModelError(`${file}: storage ${key} should have ${count * type.width} bytes but has ${bytes.length}`);
      return bytes;
    });
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
  if (version !== 1001) throw new ModelError(`${file}: format version ${version}, expected 1001`);
  const system = unpickle(cursor, NO_NAMES);
  expectLittleEndian(system instanceof Map && system.get("little_endian") === false ? "big" : "little", file);

  const roots = new Map<string, { type: ElementType; start?: number; count?: number }>();
  const persistent = (id: unknown) => {
    const { type, key, count, view } = storageId(id, file);
    const root = roots.get(key) ?? { type };
    roots.set(key, root);
    const offset = Array.isArray(view) ? view[1] : 0; // a view of a larger storage: (its key, offset, elements)
    if (!isCount(offset)) throw new ModelError(`${file}: storage ${key} is a damaged view`);
    return new Storage(type, count, () => {
      if (root.start === undefined || root.count === undefined || offset + count > root.count || root.type !== type)
        throw new ModelError(
          `${file}: storage ${key} should have ${offset + count} elements but has ${root.count ?? "none"}`,
        );
      return readPart(
        source,
        root.start + offset * type.width,
        count * type.width,
        `${file}: storage ${key}`,
        ModelError,
      );
    });
  };
  const object = unpickle(cursor, { globals: allowedGlobals(file), persistent });

  const keys = unpickle(cursor, NO_NAMES);
  if (!Array.isArray(keys)) throw new ModelError(`${file}: the list of storages is missing`);
  let position = cursor.position;
  for (const key of keys as unknown[]) {
    const root = roots.get(String(key));
    if (!root) throw new ModelError(`${file}: storage ${String(key)} belongs to no tensor`);
    root.count = Number(
      viewOf(readPart(source, position, 8, `${file}: storage ${String(key)}`, ModelError)).getBigInt64(0, true),
    );
    root.start = position + 8;
    position = root.start + root.count * root.type.width;
  }
  return object;
}

/** Keys of an optimizer's state dict. */
const isOptimizerState = (object: ReadonlyMap<unknown, unknown>): boolean =>
  object.has("state") && object.has("param_groups");

/** A tensor of a checkpoint; `read` brings its elements into memory, as float32. */
export type TorchTensor = Pick<StoredTensor, "shape" | "read">;

/**
 * The state dict in a `.pt` or `.pth` file, tensor by tensor: only shapes are read at once, so that files larger than memory serve.
 * Both formats of `torch.save` are known. Executes nothing: a pickle that names anything but tensors and ordered dictionaries
 * is refused with a ModelError, as are optimizer states, damaged files, and whatever else is not a state dict. `file` is for errors.
 */
export function openTorch(source: ByteSource, file = "checkpoint"): Record<string, TorchTensor> {
  const start = viewOf(readPart(source, 0, 4, file, ModelError)).getUint32(0);
  const isZip = start === 0x504b0304; // "PK"
  if (!isZip && start >>> 24 !== 0x80)
    throw new ModelError(`${file}: not a PyTorch checkpoint: neither a zip nor a pickle`);
  const object = isZip ? openZipFormat(source, file) : openLegacyFormat(source, file);

  if (!(object instanceof Map))
    throw new ModelError(`${file}: expected a state dict (names and tensors), but it holds something else`);
  if (isOptimizerState(object))
    throw new ModelError(
      `${file}: this is an optimizer's state, not weights; give the file of the model or of its moving average (such as ema_*.pt)`,
    );
  return Object.fromEntries(
    Array.from(object as ReadonlyMap<unknown, unknown>, ([key, value]) => {
      if (typeof key === "string" && value instanceof StoredTensor) return [key, value];
      throw new ModelError(
        `${file}: "${String(key)}" is not a tensor; expected a state dict (names and tensors), as torch.save(model.state_dict(), FILE) writes it`,
      );
    }),
  );
}

/** Every tensor of a `.pt` or `.pth` file, as `openTorch` gives them. */
export function readTorch(bytes: Uint8Array, file?: string): Record<string, NDArray<"float32">> {
  const tensors = Object.entries(openTorch(bytesOf(bytes), file));
  return Object.fromEntries(tensors.map(([name, tensor]) => [name, tensor.read()]));
}
