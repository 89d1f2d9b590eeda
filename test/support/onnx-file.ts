import * as ort from "onnxruntime-node";
import type { NDArray } from "../../src/ndarray.ts";

/** An ONNX file, or its bytes, in plain ONNX Runtime, as another program would use it: nothing of ours is between. */
export async function openOnnx(file: string | Uint8Array) {
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
  const session =
    typeof file === "string"
      ? await ort.InferenceSession.create(file, options)
      : await ort.InferenceSession.create(file, options);
  return {
    inputs: describe(session.inputMetadata),
    outputs: describe(session.outputMetadata),
    async run(feeds: Readonly<Record<string, ort.Tensor>>): Promise<Record<string, NDArray<"float32">>> {
      const results = await session.run(feeds);
      return Object.fromEntries(
        Object.entries(results).map(([name, { dims, data }]) => [
          name,
          { dtype: "float32", shape: [...dims], data: data as Float32Array },
        ]),
      );
    },
  };
}

const describe = (metadata: ort.InferenceSession["inputMetadata"]): string[] =>
  metadata.map((value) => (value.isTensor ? `${value.name} ${value.type} [${value.shape.join(", ")}]` : value.name));

export const floats = (shape: readonly number[], data: ArrayLike<number>): ort.Tensor =>
  new ort.Tensor("float32", Float32Array.from(data), shape);
export const integers = (shape: readonly number[], values: readonly number[]): ort.Tensor =>
  new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);

/** Fields of a protobuf message that hold bytes, in their order. */
function* fieldsOf(bytes: Uint8Array): Generator<readonly [field: number, value: Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const wireType = key % 8;
    if (wireType === 0) varint();
    else if (wireType === 5) at += 4;
    else {
      const length = varint();
      yield [Math.floor(key / 8), bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const all = (bytes: Uint8Array, field: number): Uint8Array[] =>
  [...fieldsOf(bytes)].flatMap(([number, value]) => (number === field ? [value] : []));

/** What a model carries beside its graph, and the domains of its operators. onnx.proto: ModelProto, GraphProto, NodeProto. */
export function readModelProto(bytes: Uint8Array) {
  const graph = all(bytes, 7)[0]!;
  return {
    metadata: Object.fromEntries(
      all(bytes, 14).map((entry) => [text(all(entry, 1)[0]), text(all(entry, 2)[0])]),
    ) as Readonly<Record<string, string>>,
    domains: [...new Set(all(graph, 1).map((node) => text(all(node, 7)[0])))],
  };
}
