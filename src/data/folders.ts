import { counted } from "../counted.ts";
import { decodeImage, imageNames } from "../images/decode.ts";
import type { Entry, Skipped } from "./entries.ts";
import { classFromName } from "./labels/from-name.ts";
import { caseNotes, chooseSplits } from "./labels/held-out.ts";
import { LABEL_FILES, readLabelFiles } from "./labels/label-files.ts";
import { readSidecars } from "./labels/sidecars.ts";
import { type Place, placesAmong } from "./labels/splits.ts";
import { byName, type Item, type LabelOptions, type Layout, type Plan } from "./layout.ts";

const isImage = ({ path, told }: Entry): boolean => told !== undefined || imageNames.test(path);

/** An image with its place, its class, and where that is from, or why it has none. */
interface Found extends Place {
  readonly entry: Entry;
  readonly says: string;
}

/** What is not said by a label file. */
function withoutFile(entry: Entry, place: Place, { labels }: LabelOptions): Found {
  if (labels === "none") return { ...place, entry, className: undefined, says: "not asked for its label" };
  if (labels === "from-name") {
    const className = classFromName(entry.path);
    const says = className === undefined ? "its name is not of the form CLASS_0001" : "the names of files";
    return { ...place, entry, className, says };
  }
  return { ...place, entry, says: place.className === undefined ? "not in a class folder" : "folder names" };
}

/** Images as `CLASS/.../NAME`, perhaps below or above folders of splits, or with files or names that tell their classes. */
export const imageFolders: Layout = async (entries, options) => {
  const paths = entries.filter(isImage).map(({ path }) => path);
  const auto = options.labels === undefined;
  const column = entries.some(({ told }) => told) ? undefined : options.labelColumn;
  const files = auto ? await readLabelFiles(entries, paths, column) : undefined;
  const sidecars = auto ? await readSidecars(entries, paths) : undefined;
  const placeOf = placesAmong(paths);
  const found = entries.filter(isImage).map((entry): Found => {
    const place = placeOf(entry.path);
    const said = (auto ? entry.told : undefined) ?? files?.of(entry.path) ?? sidecars?.of(entry.path);
    if (!said) return withoutFile(entry, place, options);
    const { className, says } = said;
    return { ...place, entry, className, says: className === undefined ? `no label in ${says}` : says };
  });
  const { splits, labelled, notes } = splitsOf(found);
  const used = [...splits.train, ...splits.test];
  const classes = [...new Set(used.flatMap(({ className }) => className ?? []))].sort(byName);
  const sources = new Set(used.map(({ says }) => says));
  const inFolders = sources.size === 1 && sources.has("folder names");
  const unlabelled = options.labels === "none" || files?.none ? "images without labels" : "loose images";
  const others = entries.filter(
    (entry) =>
      !isImage(entry) &&
      !files?.paths.has(entry.path) &&
      !sidecars?.paths.has(entry.path) &&
      placeOf(entry.path).className !== undefined,
  );
  return {
    layout: !labelled ? unlabelled : inFolders ? "class folders" : "labelled images",
    classes,
    labelsFrom: [...sources].join(" and "),
    notes: [...(files?.notes ?? []), ...notes, ...(inFolders ? shardNotes(classes) : [])],
    train: items(splits.train, classes, options),
    test: items(splits.test, classes, options),
    skipped: [
      ...splits.skipped,
      ...others.map((entry) => skip(entry, "not a type of image that can be read")),
      ...(files?.missing ?? []),
    ],
  };
};

/** The images of both splits, and those that are left out. */
function splitsOf(found: readonly Found[]) {
  const below = found.flatMap((image) => (image.role === undefined ? [] : [{ ...image, role: image.role }]));
  const labelled = below.some(({ className }) => className !== undefined);
  const chosen = chooseSplits(below);
  const [train, test] = [chosen.train, chosen.test].map((wanted) => below.filter(({ role }) => role === wanted));
  const usable = (images: readonly Found[] = []) =>
    images.filter(({ className }) => !labelled || className !== undefined);
  const names = (images: readonly Found[] = []) => new Set(images.flatMap(({ className }) => className ?? []));
  const folders = [train, test].map((images) => `${images?.[0]?.splitFolder ?? ""}/`) as [string, string];
  const taken = below.filter(({ says }) => says === "folder names");
  const doubts = new Set(taken.flatMap(({ doubt }) => doubt ?? []));
  const outside = found.filter(({ role }) => role === undefined);
  const unlabelled = [...(train ?? []), ...(test ?? [])].filter(({ className }) => labelled && className === undefined);
  return {
    labelled,
    splits: {
      train: usable(train),
      test: usable(test),
      skipped: [
        ...outside.map(({ entry }) =>
          skip(entry, `below neither ${folders[0]} nor ${test?.length ? folders[1] : "test/"}`),
        ),
        ...unlabelled.map(({ entry, says }) => skip(entry, says)),
      ],
    },
    notes: [...chosen.notes, ...doubts, ...caseNotes(names(train), names(test), folders)],
  };
}

/** Data sets of EDM and StyleGAN lie in folders 00000, 00001, ..., which are no classes: dataset.json has the labels. */
const shardNotes = (classes: readonly string[]): string[] =>
  classes.length > 0 && classes.every((name) => /^\d{5,}$/.test(name))
    ? [
        `folders such as ${classes[0]} are taken as classes, but look like parts of a data set whose dataset.json is missing: put that file beside them, or give --labels none`,
      ]
    : [];

const skip = ({ path }: Entry, reason: string): Skipped => ({ path, reason });

const items = (images: readonly Found[], classes: readonly string[], options: LabelOptions): Item[] => {
  const labels = new Map(classes.map((name, label) => [name, label]));
  return images
    .map(({ entry, className }) => item(entry, className === undefined ? 0 : labels.get(className)!, options))
    .sort((a, b) => byName(a.path, b.path));
};

const item = ({ path, read }: Entry, label: number, { range, background }: LabelOptions): Item => ({
  path,
  label,
  load: async (size?: number) => decodeImage(await read(), { size, range, background }),
});

/** A file that is alone, whatever its name, if it is a picture. */
export async function singlePicture(entries: readonly Entry[], options: LabelOptions): Promise<Plan | undefined> {
  const [only, ...others] = entries;
  if (!only || others.length > 0) return undefined;
  const image = await only
    .read()
    .then((bytes) => decodeImage(bytes, { range: options.range, background: options.background }))
    .catch(() => undefined);
  return image && { layout: "loose images", classes: [], train: [item(only, 0, options)], test: [], skipped: [] };
}

/** What gives images labels. */
export const howToLabel =
  "sort them into folders, or give --labels from-name where names are like dog_0001.png, or --labels none for images without classes";

/** Why images have no labels, and what to do. */
export function withoutLabels({ train, test }: Plan, entries: readonly Entry[]): string {
  const others = entries.find(({ path }) => /\.(csv|tsv|json|jsonl|txt)$/i.test(path));
  const unread = others ? ` (${others.path} is not read: label files are ${LABEL_FILES})` : "";
  return (
    `no labels: ${counted(train.length + test.length, "image")}, of which ${train[0]!.path} is not in a class folder${unread}; ` +
    howToLabel
  );
}
