import { ModelError } from "../../errors.ts";
import { describeProblems } from "../../problems.ts";
import type { NetworkDescription } from "../families.ts";
import type { FeaturesFamily, FeaturesNetwork } from "./family.ts";
import { residualFeatures } from "./residual.ts";

/** Families of networks that see features. */
const families: readonly FeaturesFamily[] = [residualFeatures];

/** The family that `guidestar train detector` takes. */
export const defaultFeatures = residualFeatures;

/**
 * A network of features, of a config that may come from a file, and what it takes.
 *
 * @param where what holds the description, for errors
 * @throws ModelError where the family is not known, or the config does not follow its schema
 */
export function featuresNetwork(
  { kind, config }: NetworkDescription,
  where: string,
): { readonly network: FeaturesNetwork } & ReturnType<FeaturesFamily["signature"]> {
  const family = families.find((each) => each.kind === kind);
  if (!family)
    throw new ModelError(
      `${where}.kind is "${kind}", but the families of detectors are ${families.map((each) => each.kind).join(", ")}; a newer version of guidestar may have written it`,
    );
  const checked = family.schema.safeParse(config);
  if (!checked.success) throw new ModelError(describeProblems(checked.error, [`${where}.config`]));
  return { network: family.build(checked.data), ...family.signature(checked.data) };
}
