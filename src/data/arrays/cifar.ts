import { DataError } from "../../errors.ts";
import type { Image } from "../../images/image.ts";
import type { Entry } from "../entries.ts";
import { arrayItems, baseName, byName, type Item, type Layout } from "../layout.ts";

/** Files of a version. A record is `head` bytes of labels, the last of which counts, then an image. */
const CIFAR_10 = {
  layout: "CIFAR-10 binary",
  train: /^data_batch_\d+\.bin$/,
  test: /^test_batch\.bin$/,
  names: "batches.meta.txt",
  classes: 10,
  head: 1,
} as const;
const CIFAR_100 = {
  layout: "CIFAR-100 binary",
  train: /^train\.bin$/,
  test: /^test\.bin$/,
  names: "fine_label_names.txt",
  classes: 100,
  head: 2,
} as const;
type Version = typeof CIFAR_10 | typeof CIFAR_100;

const SIDE = 32;
const AREA = SIDE * SIDE;

/** [3, 32, 32], as in the files, to [32, 32, 3]. */
function interleaved(planes: Uint8Array): Image {
  const data = new Uint8Array(3 * AREA);
  for (let c = 0; c < 3; c++) for (let i = 0; i < AREA; i++) data[3 * i + c] = planes[c * AREA + i]!;
  return { width: SIDE, height: SIDE, channels: 3, data };
}

async function readRecords({ path, read }: Entry, { layout, head, classes }: Version): Promise<Item[]> {
  const bytes = await read();
  const record = head + 3 * AREA;
  if (bytes.length === 0 || bytes.length % record !== 0)
    throw new DataError(
      `${path}: expected records of ${record} bytes but there are ${bytes.length} bytes; is it whole?`,
    );
  const labels = Array.from({ length: bytes.length / record }, (_, i) => bytes[i * record + head - 1]!);
  const wrong = labels.find((label) => label >= classes);
  if (wrong !== undefined)
    throw new DataError(`${path}: expected ${layout} labels below ${classes} but one is ${wrong}`);
  return arrayItems(path, labels, (i) => interleaved(bytes.subarray(i * record + head, (i + 1) * record)));
}

async function classNames(entry: Entry | undefined, count: number): Promise<string[]> {
  if (!entry) return Array.from({ length: count }, (_, i) => String(i));
  const names = new TextDecoder()
    .decode(await entry.read())
    .split(/\r?\n/)
    .filter(Boolean);
  if (names.length !== count)
    throw new DataError(`${entry.path}: expected ${count} class names but there are ${names.length}`);
  return names;
}

/** CIFAR's binary versions: `data_batch_1.bin` ..., `test_batch.bin` and `batches.meta.txt`, or CIFAR-100 with its fine labels. */
export const cifarBinary: Layout = async (entries) => {
  const matching = (pattern: RegExp) =>
    entries.filter(({ path }) => pattern.test(baseName(path))).sort((a, b) => byName(a.path, b.path));
  const version = [CIFAR_10, CIFAR_100].find(({ train }) => matching(train).length > 0);
  if (!version) return undefined;
  const items = async (pattern: RegExp) =>
    (await Promise.all(matching(pattern).map((entry) => readRecords(entry, version)))).flat();
  const names = entries.find(({ path }) => baseName(path) === version.names);
  return {
    layout: version.layout,
    classes: await classNames(names, version.classes),
    train: await items(version.train),
    test: await items(version.test),
    skipped: [],
  };
};
