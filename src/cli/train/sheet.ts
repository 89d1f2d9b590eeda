import { dirname } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { writeAtomically } from "../../files/atomic.ts";
import { makeFolder } from "../../files/make-folder.ts";
import { grid } from "../../images/grid.ts";
import { toUint8 } from "../../images/planes.ts";
import { encodePng } from "../../images/png.ts";
import type { NDArray } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { consistency } from "../../samplers/solvers/consistency.ts";
import { ddim } from "../../samplers/solvers/ddim.ts";
import { collect, sample } from "../../sampling/sample.ts";

/** Pictures on a sheet: two rows of at most ten classes. */
const columns = 10;

/** Draws a sheet of the classes, always from the same seeds, and writes it as a PNG. Gives what it drew, [N, C, H, W] in [-1, 1]. */
export async function writeSheet(
  path: string,
  model: Model,
  backend: Backend,
  signal: AbortSignal,
): Promise<NDArray<"float32">> {
  const labels = Array.from({ length: Math.min(model.classes.length, columns) }, (_, label) => label);
  const pictures = 2 * columns - ((2 * columns) % Math.max(1, labels.length));
  const seeds = Array.from({ length: pictures }, (_, seed) => seed);
  const drawn = await collect(
    sample(model, {
      ...(labels.length > 0 && { labels }),
      seeds,
      sampler: model.denoiser!.process.consistency
        ? consistency()
        : ddim({ steps: Math.min(25, model.denoiser!.process.steps) }),
      batchSize: columns,
      backend,
      signal,
    }),
  );
  makeFolder(dirname(path));
  await writeAtomically(
    path,
    encodePng(
      grid(toUint8(drawn), {
        columns: labels.length === 0 ? columns : labels.length > 5 ? labels.length : 2 * labels.length,
        scale: model.imageShape[1] < 48 ? 2 : 1,
      }),
    ),
  );
  return drawn;
}
