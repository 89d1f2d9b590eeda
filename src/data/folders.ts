import { decodeImage } from "../images/decode.ts";
import { byName, type Item, type Layout, type Skipped } from "./layout.ts";
import type { Entry } from "./source.ts";

const IMAGE = /\.(png|jpe?g|jfif|webp|gif|tiff?|avif)$/i;
const TRAIN = ["train", "training"];
const TEST = ["test", "testing", "val", "valid", "validation"];
const isSplit = (folder: string): boolean => [...TRAIN, ...TEST].includes(folder.toLowerCase());

/** Folders of a file, outermost first, then its name. */
type Parts = readonly string[];

/** How many folders wrap the whole, as in an archive `photos/train/cat/1.jpg`: they say nothing of class or split. */
function wrappersOf(images: readonly Parts[]): number {
  const top = new Set(images.map((parts) => parts[0]!));
  if (top.size !== 1 || isSplit(images[0]![0]!)) return 0;
  const inside = images.map((parts) => parts.slice(1));
  const wrapped =
    inside.every((parts) => parts.length > 1) || inside.some((parts) => TRAIN.includes(parts[0]!.toLowerCase()));
  return wrapped ? 1 + wrappersOf(inside.filter((parts) => parts.length > 1)) : 0;
}

/**
 * The folders that hold the splits, in lower case. A folder is one by its name if it has folders inside, so that "train" can be a
 * class beside "bus"; or if all folders are splits by name.
 */
function splitsOf(images: readonly Parts[]): { train?: string | undefined; test?: string | undefined } {
  const deep = images.filter((parts) => parts.length > 2);
  const folders = new Set((images.every(([top]) => isSplit(top!)) ? images : deep).map(([top]) => top!.toLowerCase()));
  const train = TRAIN.find((name) => folders.has(name));
  return train === undefined ? {} : { train, test: TEST.find((name) => folders.has(name)) };
}

/** Images of no class, wherever they are: all of one class without a name. A file that is alone may have any name. */
export const looseImages: Layout = async (entries) => {
  const [first, ...others] = entries;
  const isPicture = first && others.length === 0 && (await canBeDecoded(first));
  const train = entries
    .filter(({ path }) => isPicture || IMAGE.test(path))
    .map(({ path, read }) => ({ path, label: 0, load: async (size?: number) => decodeImage(await read(), { size }) }))
    .sort((a, b) => byName(a.path, b.path));
  return { layout: "loose images", classes: [""], train, test: [], skipped: [] };
};

const canBeDecoded = ({ read }: Entry): Promise<boolean> =>
  read()
    .then((bytes) => decodeImage(bytes))
    .then(
      () => true,
      () => false,
    );

/** Images as `CLASS/.../NAME`, all of them below `train/` and `test/` or neither. */
export const classFolders: Layout = async (entries) => {
  const files = entries.map((entry) => ({ entry, parts: entry.path.split("/") }));
  const inFolders = files.map(({ parts }) => parts).filter((parts) => parts.length > 1 && IMAGE.test(parts.at(-1)!));
  const wrappers = wrappersOf(inFolders);
  const { train, test } = splitsOf(inFolders.map((parts) => parts.slice(wrappers)).filter((parts) => parts.length > 1));

  const skipped: Skipped[] = [];
  const found = { train: [] as [string, Entry][], test: [] as [string, Entry][] };
  for (const { entry, parts } of files) {
    const below = parts.slice(wrappers);
    const folder = below[0]?.toLowerCase();
    const split = train === undefined || folder === train ? "train" : folder === test ? "test" : undefined;
    const [className, ...rest] = train === undefined ? below : below.slice(1);
    const isImage = IMAGE.test(parts.at(-1)!);
    const skip = (reason: string) => skipped.push({ path: entry.path, reason });
    if (isImage && !split) skip(`below neither ${train}/ nor ${test ?? "test"}/`);
    else if (isImage && rest.length === 0) skip("not in a class folder");
    else if (!isImage && rest.length > 0) skip("not a type of image that can be read");
    else if (isImage && split) found[split].push([className!, entry]);
  }

  const classes = [...new Set([...found.train, ...found.test].map(([name]) => name))].sort(byName);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const items = (list: readonly [string, Entry][]): Item[] =>
    list
      .map(([name, { path, read }]) => ({
        path,
        label: labels.get(name)!,
        load: async (size?: number) => decodeImage(await read(), { size }),
      }))
      .sort((a, b) => byName(a.path, b.path));
  return { layout: "class folders", classes, train: items(found.train), test: items(found.test), skipped };
};
