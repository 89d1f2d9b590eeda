import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { functionsOf } from "./support/functions.ts";
import { sourceFiles } from "./support/imports.ts";

const src = fileURLToPath(new URL("../src", import.meta.url));
const files = sourceFiles(src);

/** So many functions may be longer than 60 lines. The number only goes down. */
const longer = 3;

test(`at most ${longer} functions are longer than 60 lines`, () => {
  const long = functionsOf(src).filter(({ lines }) => lines > 60);
  const listed = long.map(({ file, name, lines }) => `${file} ${name}: ${lines} lines`);
  expect(long.length, listed.join("\n")).toBeLessThanOrEqual(longer);
});

test("files are about 300 lines at most", () => {
  const lines = (file: string): number => readFileSync(join(src, file), "utf8").trimEnd().split("\n").length;
  expect(files.filter((file) => lines(file) > 310)).toEqual(["tensor/tensor.ts"]);
});

test("no folder holds more than fifteen files beside its inner rooms", () => {
  const folders = [...new Set(files.map((file) => dirname(file)))];
  const held = (folder: string): number => files.filter((file) => dirname(file) === folder).length;
  expect(folders.filter((folder) => held(folder) > 15)).toEqual([]);
});
