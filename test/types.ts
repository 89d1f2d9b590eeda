/*
 * Compiled by the type check, never run: what an editor should underline, and the types that it should show. An expected error
 * that does not come is itself an error.
 */

import {
  type Backend,
  collect,
  ddim,
  loadModel,
  type Model,
  type NDArray,
  openBackend,
  sample,
  trainDenoiser,
} from "guidestar";
import { classifierFree, ddpmProcess, draw, guide, type Place, type Predictor } from "guidestar/diffusion";
import { compile, f32, i32, type Tensor, trace } from "guidestar/tensor";
import { expectTypeOf } from "vitest";

declare const backend: Backend;
declare const model: Model;
declare const predictor: Predictor;
declare const x: NDArray<"float32">;
declare const label: NDArray<"int32">;
declare const w: NDArray<"float32">;

export async function programs(): Promise<void> {
  const graph = trace({ x: f32(8, 4), label: i32(8), w: { out: f32(4, 2) } }, (inputs) => {
    expectTypeOf(inputs.w.out).toEqualTypeOf<Tensor>();
    // @ts-expect-error: no such input
    inputs.y;
    // @ts-expect-error: numbers or tensors only
    inputs.x.mul("2");
    return { loss: inputs.x.matmul(inputs.w.out).mean(), parts: { a: inputs.x } };
  });

  const program = await compile(graph, backend);
  const { loss, parts } = await program.run({ x, label, w: { out: w } });
  expectTypeOf(loss).toEqualTypeOf<NDArray<"float32">>();
  expectTypeOf(parts.a).toEqualTypeOf<NDArray<"float32">>();
  // @ts-expect-error: label and w are missing
  await program.run({ x });
  // @ts-expect-error: labels are int32
  await program.run({ x, label: x, w: { out: w } });
  // @ts-expect-error: no such input
  await program.run({ x, label, w: { out: w }, y: x });
  // @ts-expect-error: no such output
  (await program.run({ x, label, w: { out: w } })).accuracy;

  const bound = await compile(graph, backend, { bind: { w: { out: w } } });
  await bound.run({ x, label });
  // @ts-expect-error: w is bound already
  await bound.run({ x, label, w: { out: w } });
  // @ts-expect-error: no such input to bind
  await compile(graph, backend, { bind: { weights: w } });
}

export async function options(): Promise<void> {
  // @ts-expect-error: no such device
  await openBackend({ device: "tpu" });
  // @ts-expect-error: a model's name is a string
  await loadModel(3);
  // @ts-expect-error: seeds are missing
  sample(model, { labels: ["3"] });
  // @ts-expect-error: no such option
  sample(model, { seeds: [0], label: "3" });
  // @ts-expect-error: no such option
  sample(model, { seeds: [0], guidance: { scale: 2 } });
  // @ts-expect-error: no such option
  ddim({ step: 25 });
  // @ts-expect-error: the null label is missing
  classifierFree(predictor, { scale: 2 });
  // @ts-expect-error: no such form
  guide({ denoiser: (xt) => xt, process: model.denoiser!.process }, { form: "variance" });
  // @ts-expect-error: the network, its weights and the data are missing
  trainDenoiser({ backend, steps: 100, seed: 0 });

  const events = sample(model, { seeds: [0, 1], labels: ["3", 7], sampler: ddim({ steps: 25 }) });
  for await (const { step, x0 } of events) {
    expectTypeOf(step).toEqualTypeOf<number>();
    expectTypeOf(x0).toEqualTypeOf<NDArray<"float32">>();
  }
  expectTypeOf(await collect(events)).toEqualTypeOf<NDArray<"float32">>();
}

export function drawing(): void {
  const around = { process: ddpmProcess(), sampler: ddim(), shape: [1, 8, 8], count: 4 };
  const scales = ({ step }: Place) => ({ cfg: step });
  draw({
    ...around,
    weights: { net: { weight: w, index: label } },
    memory: ["average"],
    scales,
    predictor: ({ net }, { scales, memory }) => {
      expectTypeOf(net.weight).toEqualTypeOf<Tensor>();
      expectTypeOf(net.index).toEqualTypeOf<Tensor<"int32">>();
      expectTypeOf(scales.cfg).toEqualTypeOf<Tensor>();
      memory.average = scales.cfg.mul(memory.average);
      // @ts-expect-error: no such scale
      scales.classifier;
      // @ts-expect-error: nothing of that name is remembered
      memory.sum;
      // @ts-expect-error: no such array
      net.bias;
      return predictor;
    },
  });
  draw({
    ...around,
    weights: { weight: w },
    predictor: {
      at: () => (weights) => {
        expectTypeOf(weights.weight).toEqualTypeOf<Tensor>();
        return predictor;
      },
    },
  });
  // @ts-expect-error: the process is missing
  draw({ sampler: ddim(), shape: [1, 8, 8], count: 4, predictor: () => predictor });
  // @ts-expect-error: neither seeds nor count
  draw({ ...around, count: undefined, predictor: () => predictor });
  // @ts-expect-error: a predictor is made of weights, a function
  draw({ ...around, predictor: 3 });
}
