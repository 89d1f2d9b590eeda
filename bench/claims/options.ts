import { parseArgs } from "node:util";

/** What `npm run claims` is asked. */
export interface ClaimOptions {
  readonly claim: number;
  readonly model: string;
  readonly data: string | undefined;
  readonly background: string | undefined;
  readonly detector: string | undefined;
  readonly out: string;
  /** Of processors' work, for each training. */
  readonly minutes: number;
  /** Size of the networks that are trained; as usual for the images where not given. */
  readonly preset: string | undefined;
  /** Seeds 0 ... seeds - 1: other pictures each, and other trainings. */
  readonly seeds: number;
  /** Pictures of each cell and seed. */
  readonly samples: number;
  /** Steps of the sampler, where the claim is not about them. */
  readonly steps: number;
  readonly threads: number;
}

const usage = `usage: npm run claims -- N [--model digits] [--data FILE] [--background black] [--detector DETECTOR] [--seeds 3] [--samples 500] [--steps 10]
  [--minutes 10] [--preset NAME] [--threads n] [--out runs/claims]
  1  guidance trades diversity for fidelity          2  learned variances against fixed ones (--data: likelihoods too)
  3  adaptive group normalization against addition (needs --data)   4  samplers by the number of steps
  5  a classifier that learns in noise against one that does not (needs --data)`;

function refuse(problem: string): never {
  console.error(`claims: ${problem}\n${usage}`);
  process.exit(2);
}

/** Reads them; says what is wrong, and ends, where they are not. */
export function readOptions(args: readonly string[]): ClaimOptions {
  const text = { type: "string" } as const;
  const names = ["model", "data", "background", "detector", "out", "minutes", "preset"] as const;
  const more = ["seeds", "samples", "steps", "threads"] as const;
  const options = Object.fromEntries([...names, ...more].map((name) => [name, text]));
  let parsed: { values: Readonly<Record<string, string | undefined>>; positionals: readonly string[] };
  try {
    parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true }) as typeof parsed;
  } catch (error) {
    refuse((error as Error).message);
  }
  const { values: given, positionals } = parsed;
  const number = (name: string, usual: number, least: number, whole = true): number => {
    const value = Number(given[name] ?? usual);
    if (value >= least && value < Infinity && (!whole || Number.isInteger(value))) return value;
    return refuse(`--${name} must be a ${whole ? "whole " : ""}number from ${least} but is ${given[name]}`);
  };
  const claim = Number(positionals[0]);
  if (positionals.length !== 1 || !(claim >= 1 && claim <= 5)) refuse("give the number of a claim, 1 to 5");
  const { model = "digits", data, background, detector, out = "runs/claims", preset } = given;
  if ((claim === 3 || claim === 5) && data === undefined) refuse(`claim ${claim} is about trainings: give --data`);
  return {
    ...{ claim, model, data, background, detector, out, preset },
    minutes: number("minutes", 10, 0.001, false),
    seeds: number("seeds", 3, 2),
    samples: number("samples", 500, 10),
    steps: number("steps", 10, 1),
    threads: number("threads", 2, 1),
  };
}
