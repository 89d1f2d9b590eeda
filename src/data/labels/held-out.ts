import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import type { Role } from "./splits.ts";

/** An image with what is known of its split and class. */
export interface Placed {
  readonly role: Role;
  readonly splitFolder: string | undefined;
  readonly className: string | undefined;
}

/** Which splits are trained on and held out; `test` is undefined where none is. */
export interface Chosen {
  readonly train: Role;
  readonly test: Role | undefined;
  readonly notes: readonly string[];
}

/**
 * Trains on train/, or on what there is where it is missing, and holds test/ out, or val/ where there is no test/. A split to hold out
 * whose images have no labels is not used where others have them.
 */
export function chooseSplits(images: readonly Placed[]): Chosen {
  const of = (role: Role) => images.filter((image) => image.role === role);
  const named = (role: Role): string => `${of(role)[0]?.splitFolder ?? role}/`;
  const labelled = images.some(({ className }) => className !== undefined);
  const usable = (role: Role): boolean => of(role).some(({ className }) => !labelled || className !== undefined);

  const train = (["train", "val", "test"] as const).find((role) => of(role).length > 0) ?? "train";
  const test = (["test", "val"] as const).find((role) => role !== train && usable(role));
  const notes: string[] = [];
  if (train !== "train") notes.push(`there is no train/: ${named(train)} is taken as the training images`);
  if (test === "val") notes.push(`${named("val")} is held out, as the test images`);
  for (const role of ["test", "val"] as const)
    if (role !== train && role !== test && of(role).length > 0)
      notes.push(
        `${named(role)} is not used: ${usable(role) ? `${named(test ?? train)} is held out` : `its ${counted(of(role).length, "image")} ${of(role).length === 1 ? "has" : "have"} no labels`}`,
      );
  return { train, test, notes };
}

const folded = (name: string): string => name.normalize("NFKC").toLowerCase();

/**
 * Notes on classes that differ by case only.
 *
 * @throws DataError where one stands in the one split and one in the other: they are meant to be one, or not
 */
export function caseNotes(
  train: ReadonlySet<string>,
  test: ReadonlySet<string>,
  folders: readonly [string, string],
): string[] {
  const spellings = new Map<string, string[]>();
  for (const name of new Set([...train, ...test]))
    spellings.set(folded(name), [...(spellings.get(folded(name)) ?? []), name]);
  return [...spellings.values()].flatMap((names) => {
    if (names.length < 2) return [];
    const here = names.find((name) => train.has(name) && !test.has(name));
    const there = names.find((name) => test.has(name) && !train.has(name));
    if (here !== undefined && there !== undefined)
      throw new DataError(
        `are "${here}" (${folders[0]}) and "${there}" (${folders[1]}) one class? They differ by case only; give them one name, or two that differ by more`,
      );
    return [`the classes ${names.join(", ")} differ by case only`];
  });
}
