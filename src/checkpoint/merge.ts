import { usualBackground } from "../background.ts";
import { ModelError } from "../errors.ts";
import { networkRoles } from "../models/family.ts";
import type { ModelRecord } from "./schema.ts";

/** Throws ModelError where a folder's model is of other images or classes than what is to join it. */
export function checkMerge(
  before: ModelRecord,
  now: Pick<ModelRecord, "classes" | "imageShape" | "preprocessing">,
  where: string,
): void {
  const others = networkRoles.filter((name) => before[name]).join(" and ");
  const described = ({ imageShape, classes, preprocessing }: typeof now) => ({
    imageShape,
    classes,
    background: preprocessing.background ?? usualBackground,
  });
  const [old, wanted] = [described(before), described(now)];
  for (const key of ["imageShape", "classes", "background"] as const) {
    const [was, is] = [JSON.stringify(old[key]), JSON.stringify(wanted[key])];
    if (was !== is)
      throw new ModelError(
        `${where}: the ${others} there has ${key} ${was}, but ${is} should join it; choose another folder`,
      );
  }
}
