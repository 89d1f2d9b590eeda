import { ShapeError } from "../errors.ts";
import { type DType, isArray, type NDArray, type Shape, type Tree } from "../ndarray.ts";
import { topological } from "./gradient.ts";
import { show, type Type } from "./shape.ts";
import { type AnyTensor, apply, Tensor } from "./tensor.ts";

/** What an input of a traced function will hold. */
export class Spec<out D extends DType = DType> implements Type<D> {
  readonly dtype: D;
  readonly shape: Shape;
  constructor(dtype: D, shape: Shape) {
    this.dtype = dtype;
    this.shape = shape;
  }
}
/** A float32 input of this shape: what `trace` takes. */
export const f32 = (...shape: number[]): Spec<"float32"> => new Spec("float32", shape);
/** A float64 input of this shape. */
export const f64 = (...shape: number[]): Spec<"float64"> => new Spec("float64", shape);
/** An int32 input of this shape: labels, indices. */
export const i32 = (...shape: number[]): Spec<"int32"> => new Spec("int32", shape);
/** An int64 input of this shape. */
export const i64 = (...shape: number[]): Spec<"int64"> => new Spec("int64", shape);
/** A bool input of this shape. */
export const b8 = (...shape: number[]): Spec<"bool"> => new Spec("bool", shape);

/** The tree of tensors that a traced function gets for a tree of specs. */
export type TensorsOf<S> = S extends Spec<infer D> ? Tensor<D> : { readonly [K in keyof S]: TensorsOf<S[K]> };
/** The tree of specs of a tree of values; one of unknown keys and depth stays that. */
export type SpecsOf<V> =
  V extends NDArray<infer D>
    ? Spec<D>
    : [string, Tree<NDArray>] extends [keyof V, V]
      ? Tree<Spec>
      : { readonly [K in keyof V]: SpecsOf<V[K]> };
/** The tree of values that a program takes or gives for a tree of specs or tensors. */
export type ValuesOf<S> =
  S extends Tensor<infer D>
    ? NDArray<D>
    : S extends Spec<infer D>
      ? NDArray<D>
      : { readonly [K in keyof S]: ValuesOf<S[K]> };

/**
 * A traced function: its inputs and outputs by flat name (the keys of nested trees joined by "/") and every operator
 * application between, each after its inputs. Equal sub-expressions appear once.
 */
export interface Graph<I extends Tree<Spec> = Tree<Spec>, O extends Tree<AnyTensor> = Tree<AnyTensor>> {
  /** Inputs by flat name, as "params.w". */
  readonly inputs: ReadonlyMap<string, AnyTensor>;
  /** Outputs by flat name. */
  readonly outputs: ReadonlyMap<string, AnyTensor>;
  readonly nodes: readonly AnyTensor[];
  /** The trees as they were given, for their types and for nesting values again. */
  readonly signature: { readonly inputs: I; readonly outputs: O };
}

/** Leaves of a tree with their flat names. */
export function flatten<T>(tree: Tree<T>, isLeaf: (value: T | Tree<T>) => value is T): Map<string, T> {
  const leaves = new Map<string, T>();
  const walk = (node: Tree<T>, prefix: string): void => {
    for (const [key, value] of Object.entries(node))
      isLeaf(value) ? leaves.set(prefix + key, value) : walk(value, `${prefix}${key}/`);
  };
  walk(tree, "");
  return leaves;
}

/** The same tree with other leaves, which the function makes from each leaf's flat name. */
export function mapTree<T, U>(
  tree: Tree<T>,
  isLeaf: (value: T | Tree<T>) => value is T,
  fn: (name: string, leaf: T) => U,
): Tree<U> {
  const walk = (node: Tree<T>, prefix: string): Tree<U> =>
    Object.fromEntries(
      Object.entries(node).map(([key, value]) => [
        key,
        isLeaf(value) ? fn(prefix + key, value) : walk(value, `${prefix}${key}/`),
      ]),
    );
  return walk(tree, "");
}

/** What values hold: shapes and types of a tree of them, as a function is traced with. */
export const specsOf = <const V extends Tree<NDArray>>(values: V): SpecsOf<V> =>
  mapTree<NDArray, Spec>(values, isArray, (_, { dtype, shape }) => new Spec(dtype, shape)) as SpecsOf<V>;

export const isSpec = (value: unknown): value is Spec => value instanceof Spec;
export const isTensor = (value: unknown): value is AnyTensor => value instanceof Tensor;

/** A leaf of the graph: a value that is given by name at run time. */
export const input = <D extends DType>(name: string, { shape, dtype }: Type<D>): Tensor<D> =>
  apply<"input", D>("input", [], { name, shape, dtype });

/**
 * Runs a function on symbolic tensors once and keeps what it did.
 *
 * @param specs shapes and types of the inputs, as a tree
 * @param fn synchronous function of the same tree of tensors; its result is a tree of tensors
 * @throws ShapeError from the first operator whose operands do not fit
 */
export function trace<const I extends Tree<Spec>, const O extends Tree<AnyTensor>>(
  specs: I,
  fn: (inputs: TensorsOf<I>) => O,
): Graph<I, O> {
  const inputs = mapTree<Spec, AnyTensor>(specs, isSpec, input);
  const outputs = fn(inputs as TensorsOf<I>);
  return rewrite({
    inputs: flatten(inputs, isTensor),
    outputs: flatten(outputs, isTensor),
    nodes: [],
    signature: { inputs: specs, outputs },
  });
}

const keyOfAttributes = (tensor: AnyTensor, identity: (value: object) => number): string => {
  if (tensor.node.op !== "constant") return JSON.stringify(tensor.node.attributes);
  const { value } = tensor.node.attributes;
  return `${value.dtype}[${value.shape}]${value.data.length <= 16 ? value.data.join() : `#${identity(value.data)}`}`;
};

/**
 * Rebuilds a graph bottom-up, sharing equal sub-expressions. `rule` may replace an operator (whose inputs are already
 * rebuilt) by an expression of the same shape; the expression is not visited again.
 */
export function rewrite<I extends Tree<Spec>, O extends Tree<AnyTensor>>(
  graph: Graph<I, O>,
  rule: (tensor: AnyTensor) => AnyTensor = (t) => t,
): Graph<I, O> {
  const identities = new Map<object, number>();
  const identity = (value: object): number => {
    const known = identities.get(value) ?? identities.size;
    identities.set(value, known);
    return known;
  };
  const shared = new Map<string, AnyTensor>();
  const canonical = new Map<AnyTensor, AnyTensor>();
  const visited = new Set<AnyTensor>();
  const share = (tensor: AnyTensor): AnyTensor => {
    const inputs = tensor.node.inputs.map((input) => canonical.get(input) ?? input);
    const key = `${tensor.node.op}(${inputs.map(identity)})${keyOfAttributes(tensor, identity)}`;
    const existing = shared.get(key);
    if (existing) return existing;
    const same = inputs.every((input, i) => input === tensor.node.inputs[i]);
    const rebuilt: AnyTensor = same ? tensor : apply(tensor.node.op, inputs, tensor.node.attributes as never);
    shared.set(key, rebuilt);
    return rebuilt;
  };
  for (const tensor of topological([...graph.inputs.values(), ...graph.outputs.values()])) {
    const before = share(tensor);
    const after = rule(before);
    visited.add(before);
    if (after !== before) for (const part of topological([after], visited)) canonical.set(part, share(part));
    const result = canonical.get(after) ?? after;
    canonical.set(before, result);
    canonical.set(tensor, result);
  }
  const inputs = new Map([...graph.inputs].map(([name, tensor]) => [name, canonical.get(tensor)!]));
  const outputs = new Map([...graph.outputs].map(([name, tensor]) => [name, canonical.get(tensor)!]));
  return { ...graph, inputs, outputs, nodes: topological([...inputs.values(), ...outputs.values()]) };
}

/** A graph as readable text: one line per operator, `%n` for its result. */
export function format(graph: Graph): string {
  const names = new Map<AnyTensor, string>();
  const type = ({ dtype, shape }: Type): string => `${dtype}${show(shape)}`;
  const lines: string[] = [];
  let count = 0;
  for (const tensor of graph.nodes) {
    const { op, inputs, attributes } = tensor.node;
    if (op === "input") {
      names.set(tensor, attributes.name);
      continue;
    }
    if (op === "constant") {
      const { data } = attributes.value;
      names.set(
        tensor,
        data.length === 1 ? String(Number(Number(data[0]).toPrecision(7))) : `constant ${type(tensor)}`,
      );
      continue;
    }
    const name = `%${count++}`;
    names.set(tensor, name);
    const options = Object.entries(attributes).map(
      ([key, value]) => `, ${key}=${Array.isArray(value) ? show(value) : value}`,
    );
    lines.push(
      `  ${name} = ${op}(${inputs.map((input) => names.get(input)).join(", ")}${options.join("")}) : ${type(tensor)}`,
    );
  }
  const parameters = [...graph.inputs].map(([name, tensor]) => `${name}: ${type(tensor)}`).join(", ");
  const results = [...graph.outputs].map(([name, tensor]) => `${name} = ${names.get(tensor)}`).join(", ");
  return [`graph(${parameters})`, ...lines, `  return ${results}`].join("\n");
}

/** Throws ShapeError unless a value has the type that an input was traced with. */
export function checkValue(name: string, expected: Type, value: NDArray | undefined): void {
  if (value === undefined)
    throw new ShapeError(`input "${name}" is missing: expected ${expected.dtype} ${show(expected.shape)}`);
  if (value.dtype !== expected.dtype || show(value.shape) !== show(expected.shape))
    throw new ShapeError(
      `input "${name}" must be ${expected.dtype} ${show(expected.shape)} but is ${value.dtype} ${show(value.shape)}`,
    );
}
