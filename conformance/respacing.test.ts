import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { spaceTimesteps } from "../src/diffusion/respacing.ts";

const cases = JSON.parse(readFileSync(new URL("data/respacing.json", import.meta.url), "utf8")) as {
  steps: number;
  spec: string;
  timesteps: number[];
}[];

test.each(cases)("$spec of $steps steps", ({ steps, spec, timesteps }) => {
  expect(spaceTimesteps(steps, spec)).toEqual(timesteps);
});
