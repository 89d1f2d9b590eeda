import { UsageError } from "../../errors.ts";
import { evaluate } from "../evaluate/command.ts";
import { sample } from "../sample/command.ts";
import { guidanceOptions } from "../sample/guidance-options.ts";
import { samplerOptions } from "../sample/sampler-options.ts";
import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, type Option, text, toggle, whole } from "../terminal/option.ts";

const { respacing: _, ...samplerSettings } = samplerOptions;
/** The options of `sample` that may be swept. */
const swept = { ...samplerSettings, ...guidanceOptions };
type Swept = typeof swept;
export const settings = Object.keys(swept) as (keyof Swept)[];

const plainNumber = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i;

/** "0:8:2" -> 0, 2, 4, 6, 8; "1:3" -> 1, 2, 3. Undefined where the text is no range. */
function rangeIn(range: string, flag: string): string[] | undefined {
  const parts = range.split(":");
  if (parts.length < 2 || parts.length > 3 || !parts.every((part) => plainNumber.test(part.trim()))) return undefined;
  const [first, last, step = 1] = parts.map(Number) as [number, number, number?];
  if (!(step > 0) || last < first)
    throw new UsageError(`${flag}: "${range}" should rise, as first:last:step with a step above 0, such as 0:8:2`);
  const count = Math.floor((last - first) / step + 1e-9) + 1;
  if (count > mostValues)
    throw new UsageError(`${flag}: "${range}" is ${count} values; at most ${mostValues} are taken`);
  return Array.from({ length: count }, (_, i) => String(Number((first + i * step).toPrecision(12))));
}
const mostValues = 1000;

/** Several values of an option of `sample`, each read as `sample` reads one. */
function several<T>({
  placeholder,
  help,
  parse,
  otherwise,
  fallback,
  aliases,
}: Option<T>): Option<readonly T[] | undefined> {
  const numbers = placeholder !== undefined && ["n", "x", "n|spec"].includes(placeholder);
  const inside = placeholder?.includes(",") ?? false;
  const single = (value: string, flag: string): T => {
    if (placeholder !== undefined) return parse(value, flag);
    if (value !== "yes" && value !== "no") throw new UsageError(`${flag} takes yes, no or yes,no but got "${value}"`);
    return (value === "yes") as T;
  };
  return {
    placeholder: placeholder === undefined ? "no,yes" : numbers ? "values" : placeholder,
    ...(placeholder === undefined && { bare: "yes" }),
    help,
    ...(aliases && { aliases }),
    otherwise: otherwise ?? (placeholder === undefined ? "no" : String(fallback ?? "none")),
    parse(list, flag) {
      const separator = inside || list.includes(";") ? ";" : ",";
      const parts = list.split(separator).map((part) => part.trim());
      const values = parts
        .filter((part) => part !== "")
        .flatMap((part) => (numbers ? rangeIn(part, flag) : undefined) ?? [part])
        .map((part) => single(part, flag));
      if (values.length === 0) throw new UsageError(`${flag} names no value: "${list}"`);
      return values;
    },
  };
}

type Several = {
  readonly [K in keyof Swept]: Swept[K] extends Option<infer T> ? Option<readonly T[] | undefined> : never;
};
const axes = Object.fromEntries(settings.map((key) => [key, several<unknown>(swept[key])])) as Several;

const options = {
  model: sample.options.model,
  out: text("folder", "folder of the cells and the report; a sweep that is there goes on", { required: true }),
  ...axes,
  count: whole("pictures of each cell, the classes in turn", { fallback: 2000, least: 10, most: 100_000 }),
  class: sample.options.class,
  seed: sample.options.seed,
  reference: text(
    "data",
    "images to compare with: a folder, zip or tar of CLASS/image, WebDataset, parquet or Arrow of the hub, an npz, MNIST IDX or CIFAR-10 files",
    {
      otherwise: "what the detector saw in the images that it was made from",
    },
  ),
  referenceCount: whole("images of the reference for precision, recall and the kernel distance, spread evenly", {
    otherwise: "as many as --count",
  }),
  detector: { ...evaluate.options.detector, otherwise: "that which the model carries, else digits" },
  batchSize: whole("most pictures at a time", { fallback: 50, aliases: ["batch"] }),
  dryRun: toggle("list the cells and estimate the time, and write nothing"),
  device: choice(["cpu", "webgpu"], "where to run", { fallback: "cpu" }),
  threads: sample.options.threads,
};
export const sweep = define({
  name: "sweep",
  summary: "measure a model over a grid of settings: fidelity against diversity, cell by cell",
  examples: [
    "guidestar sweep --classifier-scale 0:8:1 --unconditional --steps 25 --count 1000 --out sweeps/digits",
    "guidestar sweep --cfg-scale 1,2,4 --sampler ddim,dpm++2m --steps 10,25 --out sweeps/digits   # more cells, the same report",
    "guidestar sweep --model runs/photos --cfg-scale 1:5:0.5 --reference photos.zip --out sweeps/photos --dry-run",
  ],
  options,
  notes:
    `Values stand with commas between, or as first:last:step; with semicolons where a value holds commas. Every combination is a cell; ` +
    `those whose settings exclude each other are left out. \`guidestar sample --help\` says more of each setting.\n` +
    "A cell that is finished is a line of cells.jsonl. Stopped at any moment, the same command goes on with the next cell; with other " +
    "values it adds cells. All cells draw from the same noise, so that their differences are less noisy than they are. report.csv, " +
    "report.svg and report.png are written anew after every cell. FID falls with more pictures: compare equal counts only.",
});
export type SweepValues = ValuesOf<typeof sweep>;
