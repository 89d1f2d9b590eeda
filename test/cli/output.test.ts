import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkOutput } from "../../src/cli/terminal/output.ts";
import { UsageError } from "../../src/errors.ts";
import { temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

const silent = { message: () => undefined };

describe("before the work", () => {
  test("an output that can be written passes, and leaves nothing", async () => {
    const before = await readdir(at());
    await checkOutput(silent, "--csv", at("far", "below", "a.csv"), ".csv");
    expect(await readdir(at())).toEqual(before);
  });

  test.runIf(process.platform === "linux")("a folder in which nothing can be made is found", async () => {
    for (const path of ["/proc/a.csv", "/proc/nothing/a.csv"])
      await expect(checkOutput(silent, "--csv", path, ".csv")).rejects.toThrow(
        new UsageError(`--csv: ${path} cannot be written, for nothing can be made in /proc (ENOENT)`),
      );
  });
});
