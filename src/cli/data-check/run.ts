import { listed } from "../../class-names.ts";
import { openDataset } from "../../data/dataset.ts";
import { howToLabel } from "../../data/folders.ts";
import { formatReport, reportOf } from "../../data/report.ts";
import { oneLine } from "../../one-line.ts";
import type { Context } from "../terminal/command.ts";
import { labelValues } from "../terminal/label-options.ts";
import { progress } from "../terminal/progress.ts";
import type { DataCheckValues } from "./command.ts";

/** `guidestar data check`. */
export async function runDataCheck(
  { size, strict, json, ...reading }: DataCheckValues,
  { terminal, signal }: Context,
  path: string,
): Promise<void> {
  const shown = progress(terminal);
  const dataset = await openDataset(path, {
    size,
    strict,
    ...labelValues(reading),
    loose: true,
    signal,
    onProgress: ({ done, total }) => shown.update(done, total, "images decoded"),
  });
  shown.end();
  terminal.out(`${json ? JSON.stringify(reportOf(dataset)) : formatReport(dataset)}\n`);
  const say = (text: string) => terminal.message(`${oneLine(text)}\n`);
  if (dataset.layout === "loose images") say(`no labels, which training asks for: ${howToLabel}`);
  const { classes } = reportOf(dataset);
  const none = classes.filter(({ train }) => train === 0);
  if (none.length > 0)
    say(`no training images: ${listed(none.map(({ name }) => name))}; training leaves such classes out`);
  const few = classes.filter(({ train }) => train > 0 && train < 10);
  if (few.length > 0)
    say(`few images: ${listed(few.map(({ name, train }) => `${name} (${train})`))}; such classes are hard to learn`);
}
