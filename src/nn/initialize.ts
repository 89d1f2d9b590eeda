import { float32, type NDArray, sizeOf } from "../ndarray.ts";
import { normals, uniforms } from "../random.ts";
import { type Network, parametersOf } from "./module.ts";

/**
 * Starting values of every parameter by state-dict key, as its layer says: PyTorch's defaults, and zero where ADM starts from zero.
 * The i-th parameter draws from stream i of `seed`, so the same network and seed give the same weights on every machine.
 *
 * @param seed whole number >= 0
 * @throws UsageError where the seed is no such number
 */
export function initialize(network: Network, seed: number): Record<string, NDArray<"float32">> {
  const draw = ({ shape, initialization }: ReturnType<typeof parametersOf>[string], stream: number) => {
    const count = sizeOf(shape);
    switch (initialization.kind) {
      case "constant":
        return new Float32Array(count).fill(initialization.value);
      case "uniform":
        return Float32Array.from(uniforms(seed, stream, count), (u) => initialization.bound * (2 * u - 1));
      case "normal":
        return Float32Array.from(normals(seed, stream, count), (z) => initialization.std * z);
    }
  };
  return Object.fromEntries(
    Object.entries(parametersOf(network)).map(([key, spec], stream) => [key, float32(spec.shape, draw(spec, stream))]),
  );
}
