import { type DType, type NDArray, placeOf, sizeOf } from "../ndarray.ts";
import type { Type } from "../tensor/shape.ts";
import { Message } from "./protobuf.ts";

/** Weights beside a model's own bytes; `data` may be read from a file each time it is asked for. */
export interface ExternalData {
  /** Name by which the model refers to them. */
  readonly path: string;
  /** Bytes of `data`. */
  readonly length: number;
  /** Little-endian elements. */
  readonly data: Uint8Array;
}

/** An ONNX model: the protobuf bytes, and the large weights that it refers to by `path`; those of one path follow each other. */
export interface OnnxModel {
  /** The protobuf. */
  readonly bytes: Uint8Array;
  /** Weights that are not in it. */
  readonly externalData: readonly ExternalData[];
  /** Files that were there before, hold weights and are referred to: their folder, and the state of each (`fileState`). */
  readonly stored?: { readonly folder: string; readonly files: ReadonlyMap<string, string> };
}

// onnx.proto: TensorProto.DataType
export const elementType: Record<DType, number> = { float32: 1, float64: 11, int32: 6, int64: 7, bool: 9 };
/** Bytes of an element. */
export const elementBytes: Record<DType, number> = { float32: 4, float64: 8, int32: 4, int64: 8, bool: 1 };
/** Opset 17 is the last whose every operator ONNX Runtime's layout and fusion passes know. */
const opset = 17;
/** Weights from this size on (bytes) stay outside the protobuf: no copy of them is made. */
const externalFrom = 1 << 16;

/** How weights are written into an ONNX model. */
export interface WriterOptions {
  /** Weights lie in the model's own bytes, or in one file beside it, whose name this is; by default each is apart, not copied. */
  readonly weights?: "inside" | { readonly file: string };
  /** Stored arrays are referred to in the files of this folder. */
  readonly folder?: string;
  /** Texts that the model carries. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export type Attribute = number | readonly number[] | { readonly float: number } | { readonly text: string };

interface OnnxNode {
  readonly type: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Collects the nodes and values of an ONNX model, then writes it. */
export class ModelWriter {
  private readonly graph = new Message().text(2, "guidestar");
  private readonly externalData: ExternalData[] = [];
  private readonly files = new Map<string, string>();
  private readonly constants = new Map<string, string>();
  private readonly nodes: OnnxNode[] = [];
  private readonly made = new Set<string>();
  private readonly renamed = new Map<string, string>();
  private readonly options: WriterOptions;
  private count = 0;
  private externalBytes = 0;

  constructor(options: WriterOptions = {}) {
    this.options = options;
  }

  /** A name that nothing has yet. */
  fresh(): string {
    return `t${this.count++}`;
  }

  /** Appends a node and returns the name of its first output; an attribute is an integer, a list of integers, a float or a text. */
  add(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    outputs: readonly string[] = [this.fresh()],
    domain = "",
  ): string {
    this.nodes.push({ type, domain, inputs, outputs, attributes });
    for (const output of outputs) this.made.add(output);
    return outputs[0]!;
  }

  /** Adds a fixed value under a name. */
  initializer(name: string, value: NDArray): string {
    const { dtype, shape } = value;
    const tensor = new Message();
    for (const n of shape) tensor.integer(1, n);
    tensor.integer(2, elementType[dtype]).text(8, name);
    const length = sizeOf(shape) * elementBytes[dtype];
    const { weights, folder } = this.options;
    const place = placeOf(value);
    const outside = (location: Readonly<Record<string, string | number>>): void => {
      for (const [key, entry] of Object.entries({ ...location, length }))
        tensor.message(13, new Message().text(1, key).text(2, String(entry)));
      tensor.integer(14, 1);
    };
    if (place && place.folder === folder) {
      this.files.set(place.file, place.state);
      outside({ location: place.file, offset: place.offset });
    } else if (weights === "inside" || length < externalFrom) tensor.bytes(9, bytesOf(value));
    else {
      const path = weights?.file ?? name;
      this.externalData.push({
        path,
        length,
        get data() {
          return bytesOf(value);
        },
      });
      outside({ location: path, ...(weights && { offset: this.externalBytes }) });
      this.externalBytes += length;
    }
    this.graph.message(5, tensor);
    return name;
  }

  /** A fixed value; small ones are shared with equal ones, others where `key` is the same. */
  constant(value: NDArray, key = value.data.length > 64 ? this.fresh() : value.data.join()): string {
    const full = `${value.dtype}[${value.shape}]${key}`;
    const known = this.constants.get(full) ?? this.initializer(this.fresh(), value);
    this.constants.set(full, known);
    return known;
  }
  integers(values: readonly number[]): string {
    return this.constant({ dtype: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  }

  input(name: string, type: Type): void {
    this.graph.message(11, valueInfo(name, type));
  }

  /** Makes the value called `source` an output of the model called `name`. */
  output(name: string, source: string, type: Type): void {
    // A node's result can be an output itself; anything else, or a second output of the same value, is copied to one.
    if (this.made.has(source) && !this.renamed.has(source)) this.renamed.set(source, name);
    else this.add("Identity", [source], {}, [name]);
    this.graph.message(12, valueInfo(name, type));
  }

  finish(): OnnxModel {
    const domains = new Map([["", opset]]);
    for (const node of this.nodes) {
      if (node.domain) domains.set(node.domain, 1);
      this.graph.message(
        1,
        nodeMessage(node, (name) => this.renamed.get(name) ?? name),
      );
    }
    const model = new Message().integer(1, 8).text(2, "guidestar").message(7, this.graph);
    for (const [domain, version] of domains) model.message(8, new Message().text(1, domain).integer(2, version));
    for (const [key, value] of Object.entries(this.options.metadata ?? {}))
      model.message(14, new Message().text(1, key).text(2, value));
    const { folder } = this.options;
    const stored = folder !== undefined && this.files.size > 0 ? { folder, files: this.files } : undefined;
    return { bytes: model.toBytes(), externalData: this.externalData, ...(stored && { stored }) };
  }
}

const bytesOf = ({ data }: NDArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function nodeMessage(
  { type, domain, inputs, outputs, attributes }: OnnxNode,
  nameOf: (name: string) => string,
): Message {
  const node = new Message();
  for (const name of inputs) node.text(1, nameOf(name));
  for (const name of outputs) node.text(2, nameOf(name));
  node.text(4, type);
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = new Message().text(1, name);
    if (typeof value === "number") attribute.integer(3, value).integer(20, 2);
    else if ("float" in value) attribute.float(2, value.float).integer(20, 1);
    else if ("text" in value) attribute.text(4, value.text).integer(20, 3);
    else {
      for (const item of value) attribute.integer(8, item);
      attribute.integer(20, 7);
    }
    node.message(5, attribute);
  }
  return domain ? node.text(7, domain) : node;
}

function valueInfo(name: string, { dtype, shape }: Type): Message {
  const dimensions = new Message();
  for (const n of shape) dimensions.message(1, new Message().integer(1, n));
  const type = new Message().message(1, new Message().integer(1, elementType[dtype]).message(2, dimensions));
  return new Message().text(1, name).message(2, type);
}

/** The ONNX name of an output: apart from the inputs, since a state has one name on both sides. */
export const outputName = (name: string): string => `out:${name}`;
