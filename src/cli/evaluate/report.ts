import { counted } from "../../counted.ts";
import type { Report } from "../../evaluation/evaluate.ts";

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

/** A report as JSON has it: `fid` and `fidError`, and so on, side by side; what could not be measured is left out. */
export const reportJson = ({ counts, leftOut, warnings, ...metrics }: Report): Readonly<Record<string, unknown>> => ({
  ...Object.fromEntries(
    keys.flatMap((key) => {
      const metric = metrics[key];
      return metric
        ? [
            [key, metric.value],
            [`${key}Error`, Number.isNaN(metric.error) ? null : metric.error],
          ]
        : [];
    }),
  ),
  samples: counts.samples,
  reference: counts.reference ?? null,
  referenceFeatures: counts.referenceFeatures,
  warnings: [...leftOut, ...warnings],
});

/** A report as a table. */
export function describeReport({ counts, ...metrics }: Report, detector: string | undefined): string {
  const rows = keys.flatMap((key) => {
    const metric = metrics[key];
    return metric
      ? [
          `${names[key].padEnd(26)}${metric.value.toPrecision(5).padEnd(12)}± ${Number.isNaN(metric.error) ? "unknown" : metric.error.toPrecision(2)}`,
        ]
      : [];
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
    "",
  ].join("\n");
}
