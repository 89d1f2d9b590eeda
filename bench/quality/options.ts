import { parseArgs } from "node:util";
import { baseline, recipes } from "./recipes.ts";

/** What `npm run bench -- quality` is asked. */
export interface QualityOptions {
  readonly data: string;
  readonly background: string | undefined;
  readonly detector: string;
  readonly out: string;
  /** Of training, for each recipe. */
  readonly minutes: number;
  /** Times at which a recipe is measured. */
  readonly points: number;
  readonly recipes: readonly string[];
  /** Seeds 0 ... seeds - 1, each a training. */
  readonly seeds: number;
  /** Pictures drawn at each point. */
  readonly samples: number;
  /** Steps of the sampler. */
  readonly steps: number;
  /** Scale of classifier-free guidance at the end, beside no guidance. */
  readonly scale: number;
  readonly threads: number;
}

const usage = `usage: npm run bench -- quality --data FILE --detector DETECTOR [--minutes 5] [--points 4] [--recipes a,b,c] [--seeds 1]
  [--samples 500] [--steps 20] [--scale 2] [--threads n] [--background black] [--out runs/quality]
recipes: ${Object.keys(recipes).join(", ")}`;

function refuse(problem: string): never {
  console.error(`bench: ${problem}\n${usage}`);
  process.exit(2);
}

/** Reads them; says what is wrong, and ends, where they are not. */
export function readOptions(args: readonly string[]): QualityOptions {
  const text = { type: "string" } as const;
  const names = ["data", "background", "detector", "out", "minutes", "points", "recipes", "seeds"] as const;
  const more = ["samples", "steps", "scale", "threads"] as const;
  const options = Object.fromEntries([...names, ...more].map((name) => [name, text]));
  let given: Readonly<Record<string, string | undefined>>;
  try {
    given = parseArgs({ args: [...args], options, strict: true }).values as typeof given;
  } catch (error) {
    refuse((error as Error).message);
  }
  const number = (name: string, usual: number, least: number, whole = true): number => {
    const value = Number(given[name] ?? usual);
    if (value >= least && value < Infinity && (!whole || Number.isInteger(value))) return value;
    return refuse(`--${name} must be a ${whole ? "whole " : ""}number from ${least} but is ${given[name]}`);
  };
  const { data, detector, background, out = "runs/quality" } = given;
  if (data === undefined || detector === undefined) refuse("--data and --detector are needed");
  const chosen = given.recipes?.split(",") ?? Object.keys(recipes);
  const unknown = chosen.find((name) => !Object.hasOwn(recipes, name));
  if (unknown !== undefined) refuse(`there is no recipe "${unknown}"`);
  return {
    data,
    background,
    detector,
    out,
    minutes: number("minutes", 5, 0.01, false),
    points: number("points", 4, 1),
    // The baseline first: the others are compared with it.
    recipes: [...new Set([...(chosen.includes(baseline) ? [baseline] : []), ...chosen])],
    seeds: number("seeds", 1, 1),
    samples: number("samples", 500, 10),
    steps: number("steps", 20, 1),
    scale: number("scale", 2, 0, false),
    threads: number("threads", 2, 1),
  };
}
