import { ModelError, UsageError } from "../errors.ts";
import { adapt, type Network } from "../nn/module.ts";
import { describeProblems } from "../problems.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { admClassifier } from "./adm-classifier.ts";
import { admSuperResolution } from "./adm-super-resolution.ts";
import { admUnet } from "./adm-unet.ts";
import type {
  ClassifierFamily,
  ClassifierNetwork,
  ClassifierSignature,
  DenoiserFamily,
  DenoiserInputs,
  DenoiserNetwork,
  DenoiserSignature,
  NetworkFamily,
  NetworkRole,
  Shapes,
} from "./family.ts";
import { pixelTransformerFamily } from "./pixel-transformer.ts";

/** A network by its family and its config, as model.json has it. */
export interface NetworkDescription {
  /** Kind of its family. */
  readonly kind: string;
  /** What the family makes it of: plain JSON. */
  readonly config: object;
}

/** Families by their kind: those that come with the package, then those that were registered. */
const families = new Map<string, NetworkFamily>(
  [admUnet, admSuperResolution, admClassifier, pixelTransformerFamily].map((family) => [family.kind, family]),
);

/** The families of a role, in the order in which they became known. */
export const familiesOf = (role: NetworkRole): NetworkFamily[] =>
  [...families.values()].filter((family) => family.role === role);

/**
 * Makes a family known: to loading, training, sampling, exporting, and to the command line, where a module that calls this is loaded
 * first: `node --import ./my-family.js node_modules/guidestar/dist/cli/main.js ...`. Registering the same family again does nothing.
 *
 * @throws UsageError where another family has that kind
 */
export function registerFamily<Config extends object>(family: DenoiserFamily<Config> | ClassifierFamily<Config>): void {
  const { kind } = family;
  if (!/^[a-z\d]+(-[a-z\d]+)*$/.test(kind))
    throw new UsageError(`registerFamily: a kind is words of lower case with hyphens between, but this is "${kind}"`);
  const known = families.get(kind);
  if (known !== undefined && known !== family)
    throw new UsageError(`registerFamily: there is another family of kind "${kind}"; choose another kind`);
  families.set(kind, family);
}

/**
 * The family of a kind.
 *
 * @param where what asks for it, for the error
 * @throws ModelError where no family of this role has that kind
 */
export function familyOf(role: "denoiser", kind: string, where?: string): DenoiserFamily;
export function familyOf(role: "classifier", kind: string, where?: string): ClassifierFamily;
export function familyOf(role: NetworkRole, kind: string, where?: string): NetworkFamily;
export function familyOf(role: NetworkRole, kind: string, where = `${role}.kind`): NetworkFamily {
  const found = findFamily(role, kind);
  if (typeof found === "string") throw new ModelError(`${where} is ${found}`);
  return found;
}

/** The family of a kind, or what is wrong with asking for it: `"x", but ...`. */
export function findFamily(role: NetworkRole, kind: string): NetworkFamily | string {
  const family = families.get(kind);
  if (family?.role === role) return family;
  const known = familiesOf(role)
    .map((each) => each.kind)
    .join(", ");
  return family
    ? `"${kind}", a family of ${family.role}s; families of ${role}s are ${known}`
    : `"${kind}", but only the families ${known} are known here. registerFamily makes another one known; for the command line, in ` +
        "a module that is loaded first: node --import ./my-family.js";
}

/** Kinds of all families. */
export const allKinds = (): string[] => [...families.keys()];

/** The role of the family of this kind; undefined where there is none. */
export const roleOf = (kind: string): NetworkRole | undefined => families.get(kind)?.role;

/**
 * The config of a network from elsewhere, as the schema of its family gives it.
 *
 * @param where what holds it, for errors
 * @throws ModelError where the family is not known, or the config does not follow its schema
 */
export function checkedConfig(role: NetworkRole, { kind, config }: NetworkDescription, where: string): object {
  const result = familyOf(role, kind, `${where}.kind`).schema.safeParse(config);
  if (result.success) return result.data;
  throw new ModelError(describeProblems(result.error, [`${where}.config`]));
}

/** The network that the tensors of a checkpoint are of, where a family recognises them. */
export function recogniseNetwork(tensors: Shapes): NetworkDescription | undefined {
  for (const family of families.values()) {
    const config = family.recognise?.(tensors);
    if (config) return { kind: family.kind, config };
  }
  return undefined;
}

/** A network of either role: enough to list its parameters and to start them. */
export const networkOf = (role: NetworkRole, { kind, config }: NetworkDescription): Network =>
  familyOf(role, kind).build(config);

/** What a network of either role takes and gives. Throws ModelError for an unknown kind. */
export const signatureOf = (
  role: NetworkRole,
  { kind, config }: NetworkDescription,
): DenoiserSignature | ClassifierSignature => familyOf(role, kind).signature(config);

/** What a denoiser takes and gives. Throws ModelError for an unknown kind. */
export const denoiserSignature = ({ kind, config }: NetworkDescription): DenoiserSignature =>
  familyOf("denoiser", kind).signature(config);

/**
 * A denoiser as a network. It is told what its signature names; what else is given is left out, so that a label may be given to any.
 * Throws ModelError for an unknown kind.
 */
export function denoiserNetwork({ kind, config }: NetworkDescription): DenoiserNetwork {
  const family = familyOf("denoiser", kind);
  const { classes, lowRes: small, maxCfgScale, augmentSize } = family.signature(config);
  return adapt(
    family.build(config),
    (denoise) =>
      (x: Tensor, t: Tensor, { label, lowRes, guidanceScale, augment }: DenoiserInputs) =>
        denoise(x, t, {
          ...(classes !== undefined && { label }),
          ...(small && { lowRes }),
          ...(maxCfgScale !== undefined && { guidanceScale }),
          ...(augmentSize !== undefined && { augment }),
        }),
  );
}

/** What a classifier takes and gives. Throws ModelError for an unknown kind. */
export const classifierSignature = ({ kind, config }: NetworkDescription): ClassifierSignature =>
  familyOf("classifier", kind).signature(config);

/** A classifier as a network. Throws ModelError for an unknown kind. */
export const classifierNetwork = ({ kind, config }: NetworkDescription): ClassifierNetwork =>
  familyOf("classifier", kind).build(config);
