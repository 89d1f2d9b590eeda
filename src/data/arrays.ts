import { gunzipSync } from "node:zlib";
import { readNpy } from "../checkpoint/npy.ts";
import { DataError } from "../errors.ts";
import { fitPixels } from "./decode.ts";
import { baseName, byName, type Item, type Layout } from "./layout.ts";
import type { Pixels } from "./pixels.ts";
import type { Entry } from "./source.ts";

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

/** Items of an array of images; `image` gives the i-th. */
const itemsOf = (path: string, labels: ArrayLike<number>, image: (i: number) => Pixels): Item[] =>
  Array.from(labels, (label, i) => ({
    path: `${path}[${i}]`,
    label,
    load: (size?: number) => fitPixels(image(i), size),
  }));

const largest = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => Math.max(a, b), 0);

/** Array of bytes in an IDX file, which may be gzipped: two zero bytes, type 8, rank, big-endian dimensions, then the elements. */
async function readIdx(entry: Entry, rank: number) {
  const stored = await entry.read();
  let bytes: Uint8Array;
  try {
    bytes = entry.path.endsWith(".gz") ? gunzipSync(stored) : stored;
  } catch (cause) {
    throw new DataError(`${entry.path}: cannot be gunzipped; the file is damaged`, { cause });
  }
  const header = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < header || view.getUint32(0) !== 0x0800 + rank)
    throw new DataError(`${entry.path}: expected an IDX file of bytes in ${rank} dimension(s) but its header differs`);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, n) => product * n, 1);
  if (bytes.length !== header + size)
    throw new DataError(
      `${entry.path}: expected ${header + size} bytes for shape [${shape}] but there are ${bytes.length}; is it whole?`,
    );
  return { shape, data: bytes.subarray(header) };
}

/** MNIST and its kin: `train-images-idx3-ubyte` and its labels, and perhaps `t10k-...`; plain or `.gz`. */
export const mnistIdx: Layout = async (entries) => {
  const find = (start: string) =>
    entries.find(({ path }) => new RegExp(`^${start}[.-]idx.-ubyte(\\.gz)?$`).test(baseName(path)));
  const read = async (part: string) => {
    const [images, labels] = [find(`${part}-images`), find(`${part}-labels`)];
    if (!images) return { items: [], classes: 0 };
    if (!labels) throw new DataError(`${images.path}: its labels, ${part}-labels-idx1-ubyte, are missing beside it`);
    const [x, y] = [await readIdx(images, 3), await readIdx(labels, 1)];
    const [count, height, width] = x.shape as [number, number, number];
    if (count !== y.data.length)
      throw new DataError(`${images.path}: ${count} images, but ${labels.path} has ${y.data.length} labels`);
    const area = height * width;
    const image = (i: number): Pixels => ({
      width,
      height,
      channels: 1,
      data: x.data.subarray(i * area, (i + 1) * area),
    });
    return { items: itemsOf(images.path, y.data, image), classes: largest(y.data) + 1 };
  };
  if (!find("train-images")) return undefined;
  const [train, test] = [await read("train"), await read("t10k")];
  const classes = numbers(Math.max(train.classes, test.classes));
  return { layout: "MNIST IDX", classes, train: train.items, test: test.items, skipped: [] };
};

/** A record is `head` label bytes, the last of which counts, then red, green and blue planes of 32x32. */
const CIFAR = [
  {
    layout: "CIFAR-10 binary",
    train: /^data_batch_\d+\.bin$/,
    test: /^test_batch\.bin$/,
    names: "batches.meta.txt",
    head: 1,
    classes: 10,
  },
  {
    layout: "CIFAR-100 binary",
    train: /^train\.bin$/,
    test: /^test\.bin$/,
    names: "fine_label_names.txt",
    head: 2,
    classes: 100,
  },
] as const;
const CIFAR_AREA = 32 * 32;

/** CIFAR's binary version: `data_batch_1.bin` ..., `test_batch.bin`, `batches.meta.txt`; or CIFAR-100's with its fine labels. */
export const cifarBinary: Layout = async (entries) => {
  const kind = CIFAR.find(({ train }) => entries.some(({ path }) => train.test(baseName(path))));
  if (!kind) return undefined;
  const record = kind.head + 3 * CIFAR_AREA;
  const image = (planes: Uint8Array): Pixels => {
    const data = new Uint8Array(3 * CIFAR_AREA);
    for (let c = 0; c < 3; c++) for (let i = 0; i < CIFAR_AREA; i++) data[3 * i + c] = planes[c * CIFAR_AREA + i]!;
    return { width: 32, height: 32, channels: 3, data };
  };
  const read = async (pattern: RegExp): Promise<Item[]> => {
    const files = entries.filter(({ path }) => pattern.test(baseName(path))).sort((a, b) => byName(a.path, b.path));
    const lists = files.map(async ({ path, read }) => {
      const bytes = await read();
      if (bytes.length === 0 || bytes.length % record !== 0)
        throw new DataError(`${path}: expected records of ${record} bytes but there are ${bytes.length}; is it whole?`);
      const labels = Array.from({ length: bytes.length / record }, (_, i) => bytes[i * record + kind.head - 1]!);
      if (largest(labels) >= kind.classes)
        throw new DataError(
          `${path}: label ${largest(labels)} in a file of ${kind.classes} classes; is it ${kind.layout}?`,
        );
      return itemsOf(path, labels, (i) => image(bytes.subarray(i * record + kind.head, (i + 1) * record)));
    });
    return (await Promise.all(lists)).flat();
  };
  const meta = entries.find(({ path }) => baseName(path) === kind.names);
  const names = meta
    ? new TextDecoder()
        .decode(await meta.read())
        .split(/\r?\n/)
        .filter(Boolean)
    : numbers(kind.classes);
  if (names.length !== kind.classes)
    throw new DataError(`${meta?.path}: expected ${kind.classes} class names but there are ${names.length}`);
  return {
    layout: kind.layout,
    classes: names,
    train: await read(kind.train),
    test: await read(kind.test),
    skipped: [],
  };
};

/** Samples as an `.npz`: `arr_0` [N, H, W, C] uint8 with C = 1 or 3, and labels `arr_1` [N]; without labels there is one class, 0. */
export const npzImages: Layout = async (entries) => {
  const find = (name: string) => entries.find(({ path }) => path === `${name}.npy`);
  const [imagesEntry, labelsEntry] = [find("arr_0"), find("arr_1")];
  if (!imagesEntry) return undefined;
  const images = readNpy(await imagesEntry.read(), "arr_0");
  const [count = 0, height = 0, width = 0, channels = 0] = images.shape;
  if (images.dtype !== "uint8" || images.shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new DataError(`arr_0: expected uint8 [N, H, W, 1 or 3] but it is ${images.dtype} [${images.shape}]`);
  const labels = labelsEntry && readNpy(await labelsEntry.read(), "arr_1");
  if (
    labels &&
    ((labels.dtype !== "int32" && labels.dtype !== "int64" && labels.dtype !== "uint8") || labels.data.length !== count)
  )
    throw new DataError(`arr_1: expected ${count} integer labels but it is ${labels.dtype} [${labels.shape}]`);
  const y = labels ? Array.from(labels.data, Number) : new Array<number>(count).fill(0);
  if (y.some((label) => label < 0)) throw new DataError("arr_1: expected labels from 0 but there are negative ones");
  const { data } = images;
  const size = height * width * channels;
  const image = (i: number): Pixels => ({ width, height, channels, data: data.subarray(i * size, (i + 1) * size) });
  return { layout: "npz", classes: numbers(largest(y) + 1), train: itemsOf("arr_0", y, image), test: [], skipped: [] };
};
