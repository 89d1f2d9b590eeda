import { float32, type NDArray } from "../ndarray.ts";
import { emit, varying } from "../onnx/emit.ts";
import { lower } from "../onnx/lower.ts";
import { conv2d } from "../tensor/functions.ts";
import type { Op } from "../tensor/ops.ts";
import { f32, type Graph, trace } from "../tensor/trace.ts";
import type { Backend } from "./backend.ts";

const known = new WeakMap<Backend, Promise<number>>();

const convolutions: ReadonlySet<Op> = new Set<Op>(["conv2d", "conv2dInputGradient", "conv2dWeightGradient"]);

/** Whether a graph convolves with weights that change from run to run. */
export function hasVaryingWeights(graph: Graph, bound: ReadonlyMap<string, NDArray>): boolean {
  const changing = varying(graph.nodes, bound);
  return graph.nodes.some(({ node }) => convolutions.has(node.op) && node.inputs.some((input) => changing.has(input)));
}

/**
 * How many channels ONNX Runtime's CPU kernels put into one block on this machine (16 with AVX-512, 8 with AVX, 1 where
 * there are no such kernels). It has no question for that, so one small convolution is tried in each layout and compared
 * with the plain one; where none gives the same numbers, plain convolutions are used.
 */
export function channelBlockOf(backend: Backend): Promise<number> {
  const answer = known.get(backend) ?? probe(backend);
  known.set(backend, answer);
  return answer;
}

async function probe(backend: Backend): Promise<number> {
  if (backend.device !== "cpu") return 1;
  const channels = 32;
  const graph = trace({ x: f32(1, channels, 3, 3), weight: f32(channels, channels, 3, 3) }, ({ x, weight }) => ({
    y: conv2d(x, weight, undefined, { padding: 1 }),
  }));
  const values = new Map(
    [...graph.inputs].map(([name, { shape, size }]) => [
      name,
      float32(
        shape,
        Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 101) / 101 - 0.5),
      ),
    ]),
  );
  const convolve = async (channelBlock: number): Promise<NDArray> => {
    await using model = await backend.load(emit(lower(graph), { channelBlock }), {
      state: new Map(),
      inPlace: new Set(),
    });
    return (await model.run(values, ["y"])).get("y")!;
  };
  const expected = await convolve(1);
  for (const block of [16, 8]) {
    const got = await convolve(block).catch(() => undefined);
    if (got?.data.every((value, i) => Math.abs(Number(value) - Number(expected.data[i])) < 1e-4)) return block;
  }
  return 1;
}
