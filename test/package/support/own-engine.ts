import * as ort from "onnxruntime-node";
import { type Backend, type NDArray, outputName } from "../../../src/public/tensor.ts";

const toTensor = ({ dtype, shape, data }: NDArray) => new ort.Tensor(dtype, data as Float32Array, [...shape]);
const toArray = ({ type, dims, data }: ort.Tensor) => ({ dtype: type, shape: [...dims], data }) as NDArray;

/** An engine that a program brings for itself, as a browser's does: it runs in this thread, and keeps no state between runs. */
export const ownEngine: Backend = {
  device: "cpu",
  async load({ bytes, externalData }, { state }) {
    if (state.size > 0) throw new Error("this engine keeps no state");
    const session = await ort.InferenceSession.create(bytes, {
      externalData: externalData.map(({ path, data }) => ({ path, data })),
    });
    return {
      async run(inputs, outputs) {
        const results = await session.run(
          Object.fromEntries([...inputs].map(([name, value]) => [name, toTensor(value)])),
        );
        return new Map(outputs.map((name) => [name, toArray(results[outputName(name)]!)]));
      },
      readState: async () => new Map(),
      [Symbol.asyncDispose]: () => session.release(),
    };
  },
  [Symbol.asyncDispose]: async () => {},
};
