import { UsageError } from "../../errors.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature, familyOf, findFamily } from "../../models/families.ts";
import {
  type ClassifierNetwork,
  type DataShape,
  type DenoiserDataShape,
  type DenoiserNetwork,
  defaultFamilies,
  type NetworkRole,
} from "../../models/family.ts";

/** What the options say of the network. */
interface NetworkValues {
  readonly family: string | undefined;
  readonly preset: string;
}

/** A network to train, and what a model's record says of it. */
interface Chosen<Network> {
  readonly description: { readonly kind: string; readonly config: object };
  readonly network: Network;
}

/** A denoiser for the data, of the family and the size that the options ask for. Throws UsageError where there is none. */
export function chooseDenoiser(values: NetworkValues, data: DenoiserDataShape): Chosen<DenoiserNetwork> {
  const kind = checkFamily("denoiser", values);
  const description = { kind, config: familyOf("denoiser", kind).presets![values.preset]!(data) };
  if (denoiserSignature(description).lowRes)
    throw new UsageError(
      `--family ${kind}: its networks enlarge images, and train denoiser has no small ones for them`,
    );
  return { description, network: denoiserNetwork(description) };
}

/** The same for a classifier. */
export function chooseClassifier(values: NetworkValues, data: DataShape): Chosen<ClassifierNetwork> {
  const kind = checkFamily("classifier", values);
  const description = { kind, config: familyOf("classifier", kind).presets![values.preset]!(data) };
  return { description, network: classifierNetwork(description) };
}

/** The kind of the family that the options ask for. Throws UsageError where it does not exist, or has no such size. */
export function checkFamily(
  role: NetworkRole,
  { family: kind = defaultFamilies[role], preset }: NetworkValues,
): string {
  const family = findFamily(role, kind);
  if (typeof family === "string") throw new UsageError(`--family is ${family}`);
  const names = Object.keys(family.presets ?? {});
  if (names.length === 0)
    throw new UsageError(`--family ${kind}: has no presets, so only the library can make its networks and train them`);
  if (!names.includes(preset)) throw new UsageError(`--preset must be one of ${names.join(", ")} but is "${preset}"`);
  return kind;
}
