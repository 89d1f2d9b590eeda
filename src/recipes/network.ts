import { UsageError } from "../errors.ts";
import {
  classifierNetwork,
  classifierSignature,
  denoiserNetwork,
  denoiserSignature,
  familyOf,
  findFamily,
  type NetworkDescription,
} from "../models/families.ts";
import {
  type ClassifierNetwork,
  type DataShape,
  type DenoiserDataShape,
  type DenoiserNetwork,
  defaultFamilies,
  type ImageShape,
  type NetworkRole,
} from "../models/family.ts";

/** Which network is trained. */
export interface NetworkChoice {
  /** Kind of its family: `adm-unet` for denoisers, `adm-classifier` for classifiers, where not given. */
  readonly family?: string | undefined;
  /** Its size, as the family calls it: `tiny`, `small` (the default) or `base` for those of the package. */
  readonly preset?: string | undefined;
}

export const defaultPreset = "small";

/** A network to train, and what a model's record says of it. */
export interface Chosen<Network> {
  readonly description: NetworkDescription;
  readonly network: Network;
}

/** What is wrong with a choice, whatever the data: `family is ...` or `preset must be ...`. */
export function choiceProblem(
  role: NetworkRole,
  { family: kind = defaultFamilies[role], preset = defaultPreset }: NetworkChoice,
): string | undefined {
  const family = findFamily(role, kind);
  if (typeof family === "string") return `family is ${family}`;
  const names = Object.keys(family.presets ?? {});
  if (names.length === 0) return `family ${kind}: it has no presets, so its networks are made by their config only`;
  return names.includes(preset) ? undefined : `preset must be one of ${names.join(", ")} but is "${preset}"`;
}

/** The config that a family has for data. Throws UsageError for a bad choice. */
function configOf(role: "denoiser", choice: NetworkChoice, data: DenoiserDataShape): NetworkDescription;
function configOf(role: "classifier", choice: NetworkChoice, data: DataShape): NetworkDescription;
function configOf(role: NetworkRole, choice: NetworkChoice, data: DataShape): NetworkDescription {
  const problem = choiceProblem(role, choice);
  if (problem) throw new UsageError(problem);
  const { family: kind = defaultFamilies[role], preset = defaultPreset } = choice;
  const presets = familyOf(role, kind).presets as Readonly<Record<string, (data: DataShape) => object>>;
  return { kind, config: presets[preset]!(data) };
}

/** Throws UsageError where a family's networks are not for such images: some know only squares. */
function checkShape({ kind }: NetworkDescription, own: { readonly imageShape: ImageShape }, data: DataShape): void {
  const [[, h, w], [, height, width]] = [own.imageShape, data.imageShape];
  if (h !== height || w !== width)
    throw new UsageError(
      `family ${kind}: its networks take images of ${w}x${h} but these are ${width}x${height}; give --size ${Math.min(height, width)} to crop squares`,
    );
}

/** A denoiser for data. Throws UsageError where there is none of that family and size, or where it enlarges images. */
export function chooseDenoiser(choice: NetworkChoice, data: DenoiserDataShape): Chosen<DenoiserNetwork> {
  const description = configOf("denoiser", choice, data);
  const signature = denoiserSignature(description);
  checkShape(description, signature, data);
  if (signature.lowRes)
    throw new UsageError(
      `family ${description.kind}: its networks enlarge images, and there are no small ones for them`,
    );
  return { description, network: denoiserNetwork(description) };
}

/** The same for a classifier. */
export function chooseClassifier(choice: NetworkChoice, data: DataShape): Chosen<ClassifierNetwork> {
  const description = configOf("classifier", choice, data);
  checkShape(description, classifierSignature(description), data);
  return { description, network: classifierNetwork(description) };
}
