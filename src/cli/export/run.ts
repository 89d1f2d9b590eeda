import { basename } from "node:path";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { UsageError } from "../../errors.ts";
import { writeFiles } from "../../files/atomic.ts";
import { onnxFile } from "../../onnx/file.ts";
import { ddim } from "../../samplers/solvers/ddim.ts";
import { exportGraph } from "../../sampling/export.ts";
import { settle } from "../../sampling/settings.ts";
import { show, type Type } from "../../tensor/shape.ts";
import { runOptions } from "../sample/spec.ts";
import type { Context } from "../terminal/command.ts";
import { flagOf } from "../terminal/option.ts";
import { checkOutput } from "../terminal/output.ts";
import { type ExportValues, stepOptions } from "./command.ts";

/** `guidestar export`. */
export async function runExport(
  values: ExportValues,
  { terminal, given, signal }: Context,
  name: string,
): Promise<void> {
  const { what, batchSize, out } = values;
  await checkOutput(terminal, "--out", out, ".onnx");
  const idle = [...given].filter((key) => what !== "step" && Object.hasOwn(stepOptions, key)).map(flagOf);
  if (idle.length > 0)
    throw new UsageError(`${idle.join(", ")} belongs to --what step, not to --what ${what}; leave it out`);

  const model = await loadModel(name);
  const asked = runOptions({ ...values, class: "*", seed: 0, count: 1 }, model, undefined, ddim);
  const exported = exportGraph(model, { what, batchSize, run: settle(model, asked) });
  const { bytes, externalData } = onnxFile(exported, basename(out));
  /** Tensor by tensor, each read when it is written. */
  function* weights() {
    for (const { data } of externalData) yield data;
  }
  await writeFiles([[out, bytes], ...(externalData.length > 0 ? [[`${out}.data`, weights()] as const] : [])], signal);
  const list = (types: ReadonlyMap<string, Type>): string =>
    [...types].map(([name, { dtype, shape }]) => `${name} ${dtype} ${show(shape)}`).join(", ");
  const inputs = new Map([...exported.graph.inputs].filter(([name]) => !exported.bound.has(name)));
  terminal.message(`${out}: ${what} of ${name}; ${list(inputs)} -> ${list(exported.graph.outputs)}\n`);
}
