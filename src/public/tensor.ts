export { float32, int32, type NDArray, type Shape } from "../ndarray.ts";
export { onnxFile } from "../onnx/file.ts";
export { type OnnxModel, outputName } from "../onnx/writer.ts";
export { integers, normals, permutation, uniforms } from "../random.ts";
export type { Backend, BackendOptions, Device, LoadedModel, LoadOptions } from "../runtime/backend.ts";
export { type CompileOptions, compile, type Program } from "../runtime/compile.ts";
export { provideEngine } from "../runtime/engine.ts";
export { gradients } from "../tensor/gradient.ts";
export {
  averagePool2d,
  concat,
  constant,
  conv2d,
  full,
  oneHot,
  scalar,
  Tensor,
  upsampleNearest2d,
  where,
} from "../tensor/tensor.ts";
export { f32, format, type Graph, i32, type Spec, trace } from "../tensor/trace.ts";
