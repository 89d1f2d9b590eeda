import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { allKinds } from "../../src/models/families.ts";
import { sourceFiles } from "../support/imports.ts";

const src = fileURLToPath(new URL("../../src", import.meta.url));

/** Files of src whose text has one of these words. */
const filesWith = (words: readonly string[]): string[] =>
  sourceFiles(src).filter((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return words.some((word) => text.includes(word));
  });

const outside = (files: readonly string[]) => files.filter((file) => !/^(models|public)\//.test(file));

test("nothing outside models asks for a family by its kind, but what reads records that had none", () => {
  expect(outside(filesWith(allKinds().map((kind) => `"${kind}"`)))).toEqual(["checkpoint/schema.ts"]);
});

test("nothing outside models makes a network of a family by itself", () => {
  expect(outside(filesWith(["unet(", "encoderUnet(", "superResUnet("]))).toEqual([]);
});

test("a family of the package is named in its file, the list and the public interface", () => {
  const named = filesWith(["admSuperResolution"]);
  expect(named).toEqual(["models/adm-super-resolution.ts", "models/families.ts", "public/models.ts"]);
});
