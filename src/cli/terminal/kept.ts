import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { existingRecord } from "../../checkpoint/model-folder.ts";
import { UsageError } from "../../errors.ts";
import type { NetworkRole } from "../../models/family.ts";

/**
 * What is said where a network of a folder is replaced; undefined where there is none.
 *
 * @param doing what would replace it: "the import"
 * @param training how that came about, as its record is to say; the same again may take its place, so what was cut short can be run again
 * @throws UsageError where it was trained, as its record or checkpoints tell, and `replace` is false
 */
export async function checkReplaced(
  folder: string,
  role: NetworkRole,
  { doing, replace, training }: { readonly doing: string; readonly replace: boolean; readonly training?: unknown },
): Promise<string | undefined> {
  const before = (await existingRecord(folder))?.[role];
  const checkpoints = join(folder, "checkpoints", role);
  const trained = before?.training ?? (existsSync(checkpoints) && readdirSync(checkpoints).length > 0 ? {} : undefined);
  const isSame = training !== undefined && JSON.stringify(before?.training) === JSON.stringify(training);
  if (trained && !replace && !isSame) {
    const steps = typeof trained.step === "number" ? ` for ${trained.step} steps` : "";
    throw new UsageError(
      `${folder} holds a ${role} that was trained${steps} (${before?.file ?? `checkpoints/${role}`}), and ${doing} would replace it; ` +
        "choose another --out, or give --replace",
    );
  }
  return (
    before && `the ${role} that was in ${folder} (${before.file}, SHA-256 ${before.sha256.slice(0, 12)}...) is replaced`
  );
}
