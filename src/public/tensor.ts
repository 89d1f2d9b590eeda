export { bool, type DType, float32, float64, int32, int64, type NDArray, type Shape } from "../ndarray.ts";
export { onnxFile } from "../onnx/file.ts";
export { type OnnxModel, outputName } from "../onnx/writer.ts";
export { integers, normals, permutation, uniforms } from "../random.ts";
export type { Backend, BackendOptions, Device, LoadedModel, LoadOptions } from "../runtime/backend.ts";
export { type CompileOptions, compile, type Program } from "../runtime/compile.ts";
export { provideEngine } from "../runtime/engine.ts";
export { gradients } from "../tensor/gradient.ts";
export {
  type AnyTensor,
  averagePool2d,
  concat,
  constant,
  conv2d,
  full,
  type Labels,
  type Operand,
  oneHot,
  scalar,
  Tensor,
  upsampleNearest2d,
  where,
} from "../tensor/tensor.ts";
export { b8, f32, f64, format, type Graph, i32, i64, type Spec, trace } from "../tensor/trace.ts";
