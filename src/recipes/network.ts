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

/** The network of a model to begin with, whose config is followed where neither family nor preset is asked for. */
export interface FollowedNetwork {
  readonly source: string;
  readonly network: NetworkDescription;
}

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
function configOf(
  role: NetworkRole,
  choice: NetworkChoice,
  data: DataShape,
  followed: FollowedNetwork | undefined,
): NetworkDescription {
  if (followed && follows(choice, followed.network)) return refitted(role, followed, data);
  const problem = choiceProblem(role, choice);
  if (problem) throw new UsageError(problem);
  const { family: kind = defaultFamilies[role], preset = defaultPreset } = choice;
  const presets = familyOf(role, kind).presets as Readonly<Record<string, (data: DataShape) => object>>;
  return { kind, config: presets[preset]!(data) };
}

/** Is a network asked for that is like another one? */
const follows = ({ family, preset }: NetworkChoice, { kind }: NetworkDescription): boolean =>
  preset === undefined && (family === undefined || family === kind);

/** The same network for other data. Throws UsageError where its family has none. */
function refitted(role: NetworkRole, { source, network }: FollowedNetwork, data: DataShape): NetworkDescription {
  const { kind, config } = network;
  const { refit } = familyOf(role, kind) as { refit?(config: object, data: DataShape): object };
  if (!refit)
    throw new UsageError(
      `${source}: networks of the family ${kind} cannot be fitted to other images and classes, so none can begin with it`,
    );
  return { kind, config: refit(config, data) };
}

/** Throws UsageError where a family's networks are not for such images: some know only squares. */
function checkShape({ kind }: NetworkDescription, own: { readonly imageShape: ImageShape }, data: DataShape): void {
  const [[, h, w], [, height, width]] = [own.imageShape, data.imageShape];
  if (h !== height || w !== width)
    throw new UsageError(
      `family ${kind}: its networks take images of ${w}x${h} but these are ${width}x${height}; give --size ${Math.min(height, width)} to crop squares`,
    );
}

/**
 * A denoiser for data: like one that it begins with, where that is given and nothing else asked for. Throws UsageError where there is none
 * of that family and size, or where it enlarges images.
 */
export function chooseDenoiser(
  choice: NetworkChoice,
  data: DenoiserDataShape,
  followed?: FollowedNetwork,
): Chosen<DenoiserNetwork> {
  const description = configOf("denoiser", choice, data, followed);
  const signature = denoiserSignature(description);
  checkShape(description, signature, data);
  if (signature.lowRes)
    throw new UsageError(
      `family ${description.kind}: its networks enlarge images, and there are no small ones for them`,
    );
  if (signature.augmentSize !== data.augmentSize)
    throw new UsageError(
      `family ${description.kind}: its networks are not told how images were changed, and would draw such changes; leave augment out`,
    );
  return { description, network: denoiserNetwork(description) };
}

/** The same for a classifier. */
export function chooseClassifier(
  choice: NetworkChoice,
  data: DataShape,
  followed?: FollowedNetwork,
): Chosen<ClassifierNetwork> {
  const description = configOf("classifier", choice, data, followed);
  checkShape(description, classifierSignature(description), data);
  return { description, network: classifierNetwork(description) };
}
