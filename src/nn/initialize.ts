import { float32, type NDArray, sizeOf } from "../ndarray.ts";
import { type Network, parametersOf } from "./module.ts";

/** Source of random numbers: the same stream always gives the same numbers. */
export interface RandomStreams {
  /** `count` numbers uniform on [0, 1). */
  uniforms(stream: number, count: number): ArrayLike<number>;
  /** `count` numbers of the standard normal distribution. */
  normals(stream: number, count: number): ArrayLike<number>;
}

/**
 * Starting values of every parameter by state-dict key, as PyTorch's layers start (and zero where ADM says so). The i-th
 * parameter draws from stream i.
 */
export function initialize(network: Network, random: RandomStreams): Record<string, NDArray<"float32">> {
  const draw = ({ shape, initialization }: ReturnType<typeof parametersOf>[string], stream: number) => {
    const count = sizeOf(shape);
    switch (initialization.kind) {
      case "constant":
        return new Float32Array(count).fill(initialization.value);
      case "uniform":
        return Float32Array.from(random.uniforms(stream, count), (u) => initialization.bound * (2 * u - 1));
      case "normal":
        return Float32Array.from(random.normals(stream, count), (z) => initialization.deviation * z);
    }
  };
  return Object.fromEntries(
    Object.entries(parametersOf(network)).map(([key, spec], stream) => [key, float32(spec.shape, draw(spec, stream))]),
  );
}
