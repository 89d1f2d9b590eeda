import { DataError } from "../../errors.ts";
import { decodeText } from "../../formats/csv.ts";
import type { Entry } from "../entries.ts";
import { classOf, usualLabelColumn } from "./columns.ts";

/** Classes from files beside the images, as WebDataset has them. */
export interface Sidecars {
  /** Paths of the files that were read. */
  readonly paths: ReadonlySet<string>;
  /** The class of an image and the kind of file that tells it; undefined where no file does. */
  of(path: string): { readonly className: string | undefined; readonly says: string } | undefined;
}

const KINDS = /\.(cls|json)$/i;

/** A path without the ending of its name. */
const keyOf = (path: string): string => path.replace(/(?<=[^/])\.[^./]*$/, "");
/** WebDataset's key: the path up to the first dot of its name, as of 000012.left.png. */
const shortKeyOf = (path: string): string => path.replace(/(?<=[^/.])\.[^/]*$/, "");

async function classIn({ path, read }: Entry): Promise<string | undefined> {
  const text = decodeText(await read(), path).trim();
  if (!/\.json$/i.test(path)) return classOf(text);
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content !== "object" || content === null || Array.isArray(content)) return classOf(content) ?? "";
    const keys = Object.keys(content);
    const key = usualLabelColumn(keys) ?? keys.find((name) => name === "cls");
    // Other values are no classes: boxes and captions are called labels too.
    return key === undefined ? "" : (classOf((content as Record<string, unknown>)[key]) ?? "");
  } catch (cause) {
    throw new DataError(`${path}: not JSON (${(cause as Error).message}); was it cut short?`, { cause });
  }
}

/**
 * Reads the files that lie beside images and tell the class of one each: `000012.cls` (a number or a name) or `000012.json` (with a "label")
 * beside `000012.jpg`. Where any image has one, the others have no label.
 *
 * @throws DataError where one does not tell a class
 */
export async function readSidecars(entries: readonly Entry[], images: readonly string[]): Promise<Sidecars> {
  const keys = new Set(images.flatMap((path) => [keyOf(path), shortKeyOf(path)]));
  const beside = entries.filter(({ path }) => KINDS.test(path) && keys.has(keyOf(path)));
  const found = new Map<string, { className: string; says: string }>();
  for (const extension of ["cls", "json"])
    for (const entry of beside) {
      const key = keyOf(entry.path);
      if (found.has(key) || !entry.path.toLowerCase().endsWith(`.${extension}`)) continue;
      const className = await classIn(entry);
      if (className === undefined)
        throw new DataError(`${entry.path}: expected a class, a whole number or a name, but it holds another value`);
      if (className !== "") found.set(key, { className, says: `the .${extension} files` });
    }
  const says = [...found.values()][0]?.says;
  return {
    paths: new Set(beside.map(({ path }) => path)),
    of: (path) =>
      says === undefined
        ? undefined
        : (found.get(keyOf(path)) ?? found.get(shortKeyOf(path)) ?? { className: undefined, says }),
  };
}
