import { gunzipSync } from "node:zlib";
import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import { sizeOf } from "../../ndarray.ts";
import type { Entry } from "../entries.ts";
import { arrayItems, baseName, type Layout, numberedClasses } from "../layout.ts";

/** Array of bytes in an IDX file, which may be gzipped: two zero bytes, type 8, rank, big-endian dimensions, then the elements. */
async function readIdx(entry: Entry, rank: number) {
  let bytes = await entry.read();
  try {
    if (entry.path.endsWith(".gz")) bytes = gunzipSync(bytes);
  } catch (cause) {
    throw new DataError(`${entry.path}: cannot be gunzipped; the file is damaged`, { cause });
  }
  const header = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < header || view.getUint32(0) !== 0x0800 + rank)
    throw new DataError(
      `${entry.path}: expected an IDX array of uint8 with ${rank} dimension(s) but its header differs`,
    );
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (bytes.length !== header + sizeOf(shape))
    throw new DataError(
      `${entry.path}: expected ${header + sizeOf(shape)} bytes for shape [${shape}] but there are ${bytes.length}; is it whole?`,
    );
  return { shape, data: bytes.subarray(header) };
}

async function readPart(entries: readonly Entry[], part: "train" | "t10k") {
  const find = (kind: string) =>
    entries.find(({ path }) => new RegExp(`^${part}-${kind}[.-]idx\\d-ubyte(\\.gz)?$`).test(baseName(path)));
  const [images, labels] = [find("images"), find("labels")];
  if (!images) return undefined;
  if (!labels)
    throw new DataError(
      `${images.path}: its labels, ${part}-labels-idx1-ubyte, are missing beside it; give the folder of both`,
    );
  const [x, y] = await Promise.all([readIdx(images, 3), readIdx(labels, 1)]);
  const [count = 0, height = 0, width = 0] = x.shape;
  if (count !== y.data.length)
    throw new DataError(
      `${images.path}: has ${counted(count, "image")}, but ${labels.path} has ${counted(y.data.length, "label")}`,
    );
  const area = height * width;
  const image = (i: number) =>
    ({ width, height, channels: 1, data: x.data.subarray(i * area, (i + 1) * area) }) as const;
  return { items: arrayItems(images.path, y.data, image), labels: y.data };
}

/** MNIST and its kin: `train-images-idx3-ubyte` with its labels, and perhaps `t10k-...`; plain or `.gz`. */
export const mnistIdx: Layout = async (entries) => {
  const [train, test] = await Promise.all([readPart(entries, "train"), readPart(entries, "t10k")]);
  if (!train) return undefined;
  const classes = numberedClasses(train.labels, test?.labels ?? []);
  return { layout: "MNIST IDX", classes, train: train.items, test: test?.items ?? [], skipped: [] };
};
