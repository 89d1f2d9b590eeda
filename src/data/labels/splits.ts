/** What the images of a split are for. */
export type Role = "train" | "val" | "test";

/** Folders of a file, outermost first, then its name. */
type Parts = readonly string[];

const ROLES: readonly (readonly [Role, RegExp])[] = [
  ["train", /^train(ing)?$/],
  ["val", /^(val(id(ation)?)?|dev)$/],
  ["test", /^test(ing)?$/],
];
/** What may follow, as in training_set or val2017. */
const SUFFIX = /[ _-]?(set|split|data|images|imgs)?[ _-]?((19|20)\d\d)?$/;
/** Folders that name no class where they hold everything. */
const GENERIC = /^(images?|imgs?|jpegimages|pictures|photos)$/i;

/** What a folder with one of the usual names of a split is for. */
export function roleOf(folder: string): Role | undefined {
  const name = folder.toLowerCase();
  return ROLES.find(([, pattern]) => pattern.test(name) || pattern.test(name.replace(SUFFIX, "")))?.[0];
}

const isSplit = (folder: string | undefined): boolean => folder !== undefined && roleOf(folder) !== undefined;

/** How many folders wrap the whole, as in an archive `photos/train/cat/1.jpg`: they say nothing of class or split. */
function wrappersOf(images: readonly Parts[]): number {
  const top = new Set(images.map((parts) => parts[0]!));
  if (top.size !== 1 || isSplit(images[0]![0])) return 0;
  const inside = images.map((parts) => parts.slice(1));
  const deep = inside.filter((parts) => parts.length > 1);
  const wrapped =
    deep.length === images.length ||
    inside.some(([first]) => roleOf(first!) === "train") ||
    (deep.length > 0 && deep.every(([first]) => isSplit(first)));
  return wrapped ? 1 + wrappersOf(deep) : 0;
}

/**
 * Which folder is the split: the first, or that inside of the class, or none. The first is one by its name if it has folders inside, so
 * that "train" can be a class beside "bus"; or if all folders are splits by name.
 */
function splitLevel(images: readonly Parts[]): 0 | 1 | undefined {
  if (images.length === 0) return undefined;
  if (images.every(([top]) => isSplit(top))) return 0;
  if (images.some((parts) => parts.length > 2 && roleOf(parts[0]!) === "train")) return 0;
  return images.every((parts) => parts.length > 2 && isSplit(parts[1])) ? 1 : undefined;
}

/** What the folders of an image say. */
export interface Place {
  /** Undefined where it is below none of the splits that there are. */
  readonly role: Role | undefined;
  /** The folder of the split, as it is called; undefined where there are no splits. */
  readonly splitFolder: string | undefined;
  /** Undefined where it is in no class folder. */
  readonly className: string | undefined;
  /** What may be meant otherwise: a line for the user. */
  readonly doubt?: string | undefined;
}

/** A word where folders of classes look like splits, but are taken for none. */
function doubtOf([folder, inside, ...more]: Parts): string | undefined {
  if (inside === undefined) return undefined;
  if (isSplit(folder))
    return `the folder ${folder}/ is taken for a class; if it is a split, put the folders of classes beside it into train/`;
  if (more.length > 0 && isSplit(inside))
    return `the folder ${folder}/ is taken for a class, though it has ${inside}/ inside; if that is a split, give ${folder}/ alone`;
  return undefined;
}

/** What the folders of a file say, among these images: `CLASS/.../NAME`, perhaps with a split above or below CLASS. */
export function placesAmong(images: readonly string[]): (path: string) => Place {
  const all = images.map((path) => path.split("/"));
  const deep = all.filter((parts) => parts.length > 1);
  const wrappers = wrappersOf(deep);
  const level = splitLevel(deep.map((parts) => parts.slice(wrappers)).filter((parts) => parts.length > 1));
  const split = (parts: Parts) => {
    const inside = parts.slice(Math.min(wrappers, parts.length - 1));
    if (level === undefined) return { role: "train" as const, splitFolder: undefined, rest: inside };
    const splitFolder = inside.length > level + 1 ? inside[level]! : undefined;
    const role = splitFolder === undefined ? undefined : roleOf(splitFolder);
    return { role, splitFolder, rest: inside.filter((_, i) => i !== level) };
  };
  const found = all.map(split);
  const skipped = (role: Role): number =>
    genericFolders(
      found.filter((one) => one.role === role).map(({ rest }) => rest),
      role,
    );
  const skip = { train: skipped("train"), val: skipped("val"), test: skipped("test") };
  const sharded = isSharded(found.map(({ rest }) => rest));
  return (path) => {
    const { role, splitFolder, rest } = split(path.split("/"));
    const below = rest.slice(role === undefined ? 0 : skip[role]);
    const className = below.length > 1 && !sharded ? below[0]!.normalize("NFC") : undefined;
    return { role, splitFolder, className, doubt: level === undefined ? doubtOf(below) : undefined };
  };
}

/** How many folders that hold all images of a split are called "images" or so, or like the split again. */
function genericFolders(images: readonly Parts[], role: Role): number {
  const [top, ...others] = new Set(images.map((parts) => parts[0]!));
  if (top === undefined || others.length > 0 || images.some((parts) => parts.length < 2)) return 0;
  if (!GENERIC.test(top) && roleOf(top) !== role) return 0;
  const inside = images.map((parts) => parts.slice(1));
  return 1 + genericFolders(inside, role);
}

/** Whether the folders are those of EDM's and StyleGAN's data sets, 00000/img00000000.png: they only keep folders small. */
const isSharded = (images: readonly Parts[]): boolean =>
  images.length > 0 &&
  images.every(([folder, name, ...more]) => {
    const shard = /^\d{5}$/.test(folder!) && /^img\d{8}\.\w+$/.test(name ?? "");
    return shard && more.length === 0;
  });
