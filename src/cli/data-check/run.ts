import { openDataset } from "../../data/dataset.ts";
import { formatReport, reportOf } from "../../data/report.ts";
import type { Context } from "../terminal/command.ts";
import { progress } from "../terminal/progress.ts";
import type { DataCheckValues } from "./command.ts";

/** `guidestar data check`. */
export async function runDataCheck(
  { size, strict, json, labels, labelColumn }: DataCheckValues,
  { terminal, signal }: Context,
  path: string,
): Promise<void> {
  const shown = progress(terminal);
  const dataset = await openDataset(path, {
    size,
    strict,
    labels,
    labelColumn,
    loose: true,
    signal,
    onProgress: ({ done, total }) => shown.update(done, total, "images decoded"),
  });
  shown.end();
  terminal.out(`${json ? JSON.stringify(reportOf(dataset)) : formatReport(dataset)}\n`);
  const few = reportOf(dataset).classes.filter(({ train }) => train < 10);
  if (few.length > 0)
    terminal.message(
      `few images: ${few.map(({ name, train }) => `${name} (${train})`).join(", ")}; such classes are hard to learn\n`,
    );
}
