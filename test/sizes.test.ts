import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { functionsOf } from "./support/functions.ts";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** So many functions may be longer than 60 lines. The number only goes down. */
const longer = 8;

test(`at most ${longer} functions are longer than 60 lines`, () => {
  const long = functionsOf(src).filter(({ lines }) => lines > 60);
  const listed = long.map(({ file, name, lines }) => `${file} ${name}: ${lines} lines`);
  expect(long.length, listed.join("\n")).toBeLessThanOrEqual(longer);
});
