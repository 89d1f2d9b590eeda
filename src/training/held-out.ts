import type { NDArray, Tree } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import { compile } from "../runtime/compile.ts";
import { type SpecsOf, specsOf, type TensorsOf, trace } from "../tensor/trace.ts";
import type { Weights } from "./step/values.ts";
import type { Task } from "./task.ts";

/*
 * The loss of weights on images that were never trained on. It is of the same images, noise levels and noise whenever it is asked for, so
 * that two measures differ by the weights alone.
 */

/** A program that gives the mean objective of a task's held-out batches to weights of these shapes. */
async function heldOutMeasure<B extends Tree<NDArray>>(
  { loss, heldOut = [] }: Pick<Task<B>, "loss" | "heldOut">,
  weights: Weights,
  backend: Backend,
) {
  const batches = await Promise.all(heldOut.map((batch) => batch()));
  const specs = { params: specsOf(weights), batch: specsOf(batches[0]!) };
  const graph = trace(specs, ({ params, batch }) => ({
    objective: loss(params, batch as unknown as TensorsOf<SpecsOf<B>>).objective,
  }));
  const program = await compile(graph, backend);
  return {
    async of(params: Weights): Promise<number> {
      let [sum, count] = [0, 0];
      for (const batch of batches) {
        const { objective } = await program.run({ params, batch: batch as Parameters<typeof program.run>[0]["batch"] });
        sum += objective.data.reduce((total, value) => total + value, 0);
        count += objective.data.length;
      }
      return sum / count;
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Measures weights on what the task holds out; undefined where that is nothing. The program is made when it is first asked for. */
export function heldOutOf<B extends Tree<NDArray>>(task: Task<B>, backend: Backend) {
  let made: ReturnType<typeof heldOutMeasure> | undefined;
  return {
    async measure(weights: Weights): Promise<number | undefined> {
      if (!task.heldOut) return undefined;
      made ??= heldOutMeasure(task, weights, backend);
      return (await made).of(weights);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await (await made)?.[Symbol.asyncDispose]();
    },
  };
}
