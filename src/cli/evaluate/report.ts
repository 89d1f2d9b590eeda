import { counted } from "../../counted.ts";
import type { Report } from "../../evaluation/evaluate.ts";
import type { Estimate } from "../../evaluation/metrics/bootstrap.ts";
import type { RealReport } from "../../evaluation/real.ts";

/** Metrics with what they are called in a table. */
const names = {
  fid: "Frechet distance",
  sfid: "spatial Frechet distance",
  precision: "precision",
  recall: "recall",
  kid: "kernel distance",
  inceptionScore: "inception score",
  accuracy: "class accuracy",
} as const;
const keys = Object.keys(names) as (keyof typeof names)[];

type Numbers = Partial<Record<keyof typeof names, Estimate>>;

/** `fid` and `fidError`, and so on, side by side; what could not be measured is left out. */
const numbersOf = (metrics: Numbers): Readonly<Record<string, number | null>> =>
  Object.fromEntries(
    keys.flatMap((key) => {
      const metric = metrics[key];
      return metric
        ? [
            [key, metric.value],
            [`${key}Error`, Number.isNaN(metric.error) ? null : metric.error],
          ]
        : [];
    }),
  );

/** What real images get, as JSON has it. */
export const realJson = (real: RealReport): Readonly<Record<string, unknown>> => ({
  ...numbersOf(real),
  images: real.counts.samples,
  what: real.what,
});

/** A report as JSON has it, and what real images get. */
export const reportJson = (
  { counts, leftOut, warnings, ...metrics }: Report,
  real: RealReport | undefined,
): Readonly<Record<string, unknown>> => ({
  ...numbersOf(metrics),
  samples: counts.samples,
  reference: counts.reference ?? null,
  referenceFeatures: counts.referenceFeatures,
  ...(real && { real: realJson(real) }),
  warnings: [...leftOut, ...warnings],
});

const cell = ({ value, error }: Estimate): string =>
  `${value.toPrecision(5).padEnd(12)}± ${Number.isNaN(error) ? "unknown" : error.toPrecision(2)}`;

/** A report as a table, with what real images get beside it. */
export function describeReport(
  { counts, ...metrics }: Report,
  detector: string | undefined,
  real: RealReport | undefined,
): string {
  const rows = keys.flatMap((key) => {
    const [metric, floor] = [metrics[key], real?.[key]];
    if (!metric) return [];
    return [`${names[key].padEnd(26)}${floor ? `${cell(metric).padEnd(24)}real: ${cell(floor)}` : cell(metric)}`];
  });
  const { reference, referenceFeatures } = counts;
  const fewer = referenceFeatures > 0 && referenceFeatures !== reference;
  const against =
    metrics.fid === undefined
      ? ""
      : ` against ${reference ?? "an unknown number of"} of the reference${fewer ? ` (${referenceFeatures} for precision, recall and kernel distance)` : ""}`;
  return [
    `${counted(counts.samples, "sample")}${against}${detector ? `, detector ${detector}` : ""}`,
    ...rows,
    ...(real
      ? [`real: ${real.what}`]
      : metrics.fid
        ? [`real: not measured; it takes ${counts.samples} held-out images, or a reference of ${2 * counts.samples}`]
        : []),
    "",
  ].join("\n");
}
