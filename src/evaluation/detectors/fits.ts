import { labelOf, listed } from "../../class-names.ts";
import { DataError, UsageError } from "../../errors.ts";
import type { Detector } from "./detector.ts";

/** Images that a detector is to look at. */
export interface ImagesToSee {
  /** [C, H, W] */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Their classes; empty where nobody says. */
  readonly classes: readonly string[];
}

/** The detector's class for each of others, by name, or by number where those have no names; undefined for one that it does not know. */
export function classesOf(
  detector: Pick<Detector, "name" | "classes">,
  classes: readonly string[],
): (number | undefined)[] {
  const { classes: known = [], name: source } = detector;
  return classes.map((name) => {
    try {
      return known.length === 0 ? undefined : labelOf(name, { classes: known, source });
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  });
}

const kindOf = (channels: number): string => (channels === 1 ? "grey" : "colour");

/** Why a detector cannot see such images, as what they are and what it knows; undefined where it can. */
export function misfit(
  { name, imageShape, classes: known = [], ...detector }: Detector,
  { imageShape: shape, classes }: ImagesToSee,
) {
  const [channels, height, width] = shape;
  if (imageShape && channels > imageShape[0])
    return `${kindOf(channels)} images, but the detector ${name} knows ${kindOf(imageShape[0])} ones`;
  if (
    known.length > 0 &&
    classes.length > 0 &&
    classesOf({ name, classes: known, ...detector }, classes).every((label) => label === undefined)
  )
    return `images of ${listed(classes.slice(0, 8))}, but the detector ${name} knows ${listed(known.slice(0, 12))}`;
  if (imageShape && (height !== imageShape[1] || width !== imageShape[2]))
    return `images of ${width}x${height}, but the detector ${name} sees ${imageShape[2]}x${imageShape[1]}: resize them (--size ${imageShape[2]})`;
  return undefined;
}

/**
 * Throws DataError where a detector was made for other images than these: of colour where it knows grey ones, of other classes, or of another
 * size. What it saw in them would mean nothing. The error says what to do. Detectors that resize any image fit all.
 *
 * @param where names the images in the error
 * @param data what a detector for them would be trained on, for the error
 */
export function checkFits(detector: Detector, images: ImagesToSee, where: string, data = "DATA"): void {
  const problem = misfit(detector, images);
  if (problem)
    throw new DataError(
      `${where}: ${problem}; \`guidestar train detector --data ${data} --out DIR\` makes one for such images, then give --detector DIR`,
    );
}
