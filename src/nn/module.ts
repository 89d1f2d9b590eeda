import { ModelError, ShapeError } from "../errors.ts";
import { type Shape, sizeOf } from "../ndarray.ts";
import { show } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, type Spec } from "../tensor/trace.ts";

/** How a parameter starts: one number everywhere, uniform on [-bound, bound], or normal around 0. */
export type Initialization =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly std: number };

/** A learned float32 array of a network: its shape and how it starts, never its numbers. */
export interface Parameter {
  readonly kind: "parameter";
  readonly shape: Shape;
  readonly initialization: Initialization;
}

/** A parameter of a module: its shape, and how `initialize` starts it. */
export const parameter = (shape: Shape, initialization: Initialization): Parameter => ({
  kind: "parameter",
  shape,
  initialization,
});

/** The parameters of a network while it is traced, by state-dict key. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** What a module is made of. Plain functions are layers without parameters; `undefined` stands for a part left out. */
export type Child =
  | Parameter
  | Module<never, unknown>
  | ((...inputs: never) => unknown)
  | undefined
  | readonly Child[]
  | Children;
/** The parts of a module by name. */
export interface Children {
  readonly [name: string]: Child;
}

/**
 * A network or a part of one: a function of its parameters and its inputs. The names of its children, joined by ".", are the
 * keys of its parameters.
 */
export interface Module<Inputs extends readonly unknown[], Result = Tensor> {
  /**
   * Applies the module.
   * Throws ModelError where a parameter is missing, ShapeError (naming the child) where shapes do not fit.
   */
  (parameters: Parameters, ...inputs: Inputs): Result;
  /** The parts it is made of, whose names make the keys of its parameters. */
  readonly children: Children;
  /** The function of the inputs alone, with the parameters that `parameters` holds under `path`. */
  withParameters(parameters: Parameters, path?: string): (...inputs: Inputs) => Result;
}

/** What `forward` sees of the children: a tensor for a parameter, a function of the inputs for a module. */
export type Bound<C> = C extends Parameter
  ? Tensor
  : C extends Module<infer Inputs, infer Result>
    ? (...inputs: Inputs) => Result
    : C extends ((...inputs: never) => unknown) | undefined
      ? C
      : { readonly [Name in keyof C]: Bound<C[Name]> };

const isParameter = (child: Child): child is Parameter => (child as Parameter | undefined)?.kind === "parameter";
const isModule = (child: Child): child is Module<never, unknown> => typeof child === "function" && "children" in child;
const join = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

function make<Inputs extends readonly unknown[], Result>(
  children: Children,
  withParameters: Module<Inputs, Result>["withParameters"],
): Module<Inputs, Result> {
  return Object.assign((parameters: Parameters, ...inputs: Inputs) => withParameters(parameters)(...inputs), {
    children,
    withParameters,
  });
}

function bindChild(child: Child, parameters: Parameters, path: string): unknown {
  if (child === undefined) return undefined;
  if (isParameter(child)) return lookUp(child, parameters, path);
  if (isModule(child)) return child.withParameters(parameters, path);
  if (typeof child === "function") return child;
  if (Array.isArray(child)) return child.map((part: Child, i) => bindChild(part, parameters, join(path, `${i}`)));
  return Object.fromEntries(
    Object.entries(child as Children).map(([name, part]) => [name, bindChild(part, parameters, join(path, name))]),
  );
}

function lookUp({ shape }: Parameter, parameters: Parameters, key: string): Tensor {
  const value = parameters[key];
  if (value === undefined)
    throw new ModelError(
      `parameter "${key}" ${show(shape)} is missing from the ${Object.keys(parameters).length} given; give one for every key of parameterShapes(network)`,
    );
  if (show(value.shape) !== show(shape))
    throw new ShapeError(`parameter "${key.split(".").at(-1)}" must be ${show(shape)} but is ${show(value.shape)}`);
  return value;
}

/**
 * Makes a module of named children and a function of them. `forward` gets the children bound to their parameters, then the
 * module's inputs, whose types become the module's own signature:
 *
 *     const affine = module({ gain: parameter([8], ones) }, ({ gain }, x: Tensor) => x.mul(gain));
 *     affine({ gain: g }, x)
 */
export function module<const C extends Children, Inputs extends readonly unknown[], Result>(
  children: C,
  forward: (children: Bound<C>, ...inputs: Inputs) => Result,
): Module<Inputs, Result> {
  return make(children, (parameters, path = "") => (...inputs) => {
    try {
      return forward(bindChild(children, parameters, path) as Bound<C>, ...inputs);
    } catch (error) {
      // The innermost module names the place; its key already holds the names of all that enclose it.
      throw error instanceof ShapeError && error.path.length === 0 && path !== "" ? error.within(path) : error;
    }
  });
}

/** A module with the parameters of `inner` and other inputs: `wrap` gets the bound `inner`. */
export const adapt = <Inner extends readonly unknown[], InnerResult, Inputs extends readonly unknown[], Result>(
  inner: Module<Inner, InnerResult>,
  wrap: (inner: (...inputs: Inner) => InnerResult) => (...inputs: Inputs) => Result,
): Module<Inputs, Result> => make(inner.children, (parameters, path) => wrap(inner.withParameters(parameters, path)));

/** The same layer, whose parameters all start at zero: the last layer of a residual branch (Dhariwal & Nichol 2021). */
export function zeroInit<Inputs extends readonly unknown[], Result>(
  layer: Module<Inputs, Result>,
): Module<Inputs, Result> {
  const zeroed = (child: Child): Child => {
    if (isParameter(child)) return parameter(child.shape, { kind: "constant", value: 0 });
    if (isModule(child)) return zeroInit(child);
    if (typeof child === "function" || child === undefined) return child;
    if (Array.isArray(child)) return child.map(zeroed);
    return zeroedAll(child as Children);
  };
  const zeroedAll = (children: Children): Children =>
    Object.fromEntries(Object.entries(children).map(([name, child]) => [name, zeroed(child)]));
  return make(zeroedAll(layer.children), layer.withParameters);
}

/** Anything whose parameters can be listed. */
export type Network = Pick<Module<never>, "children">;

function* walk(child: Child, path: string): Generator<[string, Parameter]> {
  if (child === undefined) return;
  if (isParameter(child)) yield [path, child];
  else if (isModule(child)) yield* walk(child.children, path);
  else if (typeof child === "object")
    for (const [name, part] of Object.entries(child)) yield* walk(part, join(path, name));
}

/** Every parameter of a network by state-dict key, in the order of the children. Allocates no numbers. */
export const parametersOf = (network: Network): Record<string, Parameter> =>
  Object.fromEntries(walk(network.children, ""));

/** Shape of every parameter by state-dict key. */
export const parameterShapes = (network: Network): Record<string, Shape> =>
  Object.fromEntries(Object.entries(parametersOf(network)).map(([key, { shape }]) => [key, shape]));

/** The same as specs of a traced function's inputs. */
export const parameterSpecs = (network: Network): Record<string, Spec<"float32">> =>
  Object.fromEntries(Object.entries(parameterShapes(network)).map(([key, shape]) => [key, f32(...shape)]));

/** Number of learned numbers in a network. */
export const countParameters = (network: Network): number =>
  Object.values(parametersOf(network)).reduce((count, { shape }) => count + sizeOf(shape), 0);
