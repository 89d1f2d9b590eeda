import { decodeImage } from "./decode.ts";
import { baseName, byName, type Item, type Layout, type Skipped } from "./layout.ts";
import type { Entry } from "./source.ts";

const IMAGE = /\.(png|jpe?g|jfif|webp|gif|tiff?|avif)$/i;
const TRAIN = ["train", "training"];
const TEST = ["test", "testing", "val", "valid", "validation"];

interface File {
  readonly entry: Entry;
  /** Folders below the root, outermost first, then the file's name. */
  readonly parts: readonly string[];
}

/** Without the folder that wraps the whole archive, if there is one: `photos/train/cat/1.jpg` -> `train/cat/1.jpg`. */
function unwrapped(files: readonly File[]): readonly File[] {
  const first = files[0]?.parts[0]?.toLowerCase() ?? "";
  const wrapped = files.every(({ parts }) => parts.length > 2 && parts[0]?.toLowerCase() === first);
  if (files.length === 0 || !wrapped || TRAIN.includes(first) || TEST.includes(first)) return files;
  return unwrapped(files.map(({ entry, parts }) => ({ entry, parts: parts.slice(1) })));
}

/** Images as `CLASS/.../NAME`, all of them below `train/` and `test/` or neither. Hidden files are passed over. */
export const classFolders: Layout = async (entries) => {
  const files = unwrapped(
    entries
      .map((entry) => ({ entry, parts: entry.path.split("/") }))
      .filter(({ parts }) => parts.length > 1 && !parts.some((part) => part.startsWith(".") || part === "__MACOSX")),
  );
  const top = new Set(files.map(({ parts }) => parts[0]!.toLowerCase()));
  const trainFolder = TRAIN.find((name) => top.has(name));
  const testFolder = trainFolder && TEST.find((name) => top.has(name));

  const skipped: Skipped[] = [];
  const found = { train: [] as [string, Entry][], test: [] as [string, Entry][] };
  for (const { entry, parts } of files) {
    const folder = parts[0]!.toLowerCase();
    const split = !trainFolder || folder === trainFolder ? "train" : folder === testFolder ? "test" : undefined;
    const inside = trainFolder ? parts.slice(1) : parts;
    if (!IMAGE.test(baseName(entry.path)))
      skipped.push({ path: entry.path, reason: "not an image type that can be read" });
    else if (!split) skipped.push({ path: entry.path, reason: `below neither ${trainFolder}/ nor a test folder` });
    else if (inside.length < 2) skipped.push({ path: entry.path, reason: "not in a class folder" });
    else found[split].push([inside[0]!, entry]);
  }
  if (found.train.length === 0) return undefined;

  const classes = [...new Set([...found.train, ...found.test].map(([name]) => name))].sort(byName);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const items = (list: readonly [string, Entry][]): Item[] =>
    list
      .map(([name, { path, read }]) => ({
        path,
        label: labels.get(name)!,
        load: async (size?: number) => decodeImage(await read(), size),
      }))
      .sort((a, b) => byName(a.path, b.path));
  return { layout: "class folders", classes, train: items(found.train), test: items(found.test), skipped };
};
