/**
 * Traced functions: plain TypeScript on symbolic tensors, whose graph is differentiated and becomes a program of ONNX Runtime.
 * Tensors have a type and a shape, all known while tracing; a wrong shape is a ShapeError at the line that made it.
 *
 * ```ts
 * import { openBackend } from "guidestar/node";
 * import { compile, f32, float32, gradients, trace } from "guidestar/tensor";
 *
 * // The slope of the mean of x^2 over four numbers: x / 2.
 * const graph = trace({ x: f32(4) }, ({ x }) => ({ slope: gradients(x.square().mean(), { x }).x }));
 *
 * await using backend = await openBackend();
 * await using program = await compile(graph, backend);
 * const { slope } = await program.run({ x: float32([4], [1, 2, 3, 4]) });
 * console.log(slope.data.join(" ")); // 0.5 1 1.5 2
 * ```
 *
 * @module guidestar/tensor
 */

export {
  type ArrayOf,
  bool,
  type DType,
  float32,
  float64,
  int32,
  int64,
  type NDArray,
  type Numeric,
  type Shape,
  type Tree,
} from "../ndarray.ts";
export type { EmitOptions } from "../onnx/emit.ts";
export { onnxFile } from "../onnx/file.ts";
export { type ExternalData, type OnnxModel, outputName, type WriterOptions } from "../onnx/writer.ts";
export { integers, normals, permutation, uniforms } from "../random.ts";
export type {
  Backend,
  BackendOptions,
  Device,
  KeptProgram,
  LoadedModel,
  LoadOptions,
  ProgramCache,
  ProgramSlot,
} from "../runtime/backend.ts";
export { type CompileOptions, compile, type Program } from "../runtime/compile.ts";
export { provideEngine } from "../runtime/engine.ts";
export * from "../tensor/functions.ts";
export { gradients } from "../tensor/gradient.ts";
export { type AnyTensor, constant, full, type Labels, type Operand, scalar, Tensor } from "../tensor/tensor.ts";
export {
  b8,
  f32,
  f64,
  format,
  type Graph,
  i32,
  i64,
  type Spec,
  type SpecsOf,
  specsOf,
  type TensorsOf,
  trace,
  type ValuesOf,
} from "../tensor/trace.ts";
