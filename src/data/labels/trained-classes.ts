import { counted } from "../../counted.ts";
import type { Split } from "../content.ts";
import { imagesIn } from "../hold-out.ts";

interface Labelled {
  readonly classes: readonly string[];
  readonly train: Split;
  readonly test?: Split | undefined;
  readonly notes?: readonly string[] | undefined;
}

/**
 * A data set with the classes alone of which there are training images: of others a model would learn nothing, and draw pictures all the
 * same. Test images of those are left out, which `notes` says.
 */
export function trainedClasses<D extends Labelled>(dataset: D): D {
  const { classes, train, test, notes = [] } = dataset;
  const present = new Set(train.labels);
  if (classes.every((_, label) => present.has(label))) return dataset;
  const kept = [...classes.keys()].filter((label) => present.has(label));
  const places = new Map(kept.map((label, place) => [label, place]));
  const relabel = (split: Split): Split => ({ ...split, labels: split.labels.map((label) => places.get(label)!) });
  const left =
    test &&
    imagesIn(
      test,
      [...test.labels.keys()].filter((i) => present.has(test.labels[i]!)),
    );
  const lost = (test?.count ?? 0) - (left?.count ?? 0);
  const names = classes.filter((_, label) => !present.has(label));
  return {
    ...dataset,
    classes: kept.map((label) => classes[label]!),
    train: relabel(train),
    test: left && left.count > 0 ? relabel(left) : undefined,
    notes: [
      ...notes,
      `${counted(names.length, "class", "classes")} without training images ${names.length === 1 ? "is" : "are"} left out: ${names.join(", ")}${lost > 0 ? ` (${counted(lost, "test image")})` : ""}`,
    ],
  };
}
