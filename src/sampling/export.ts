import type { Model } from "../checkpoint/model.ts";
import type { ClassifierRecord, DenoiserRecord } from "../checkpoint/schema.ts";
import { coefficientNames, type ProcessConfig } from "../diffusion/noise-schedule.ts";
import { networkInput, perImage } from "../diffusion/process.ts";
import { stepGraph } from "../draw/step-graph.ts";
import { ModelError, UsageError } from "../errors.ts";
import { asks } from "../guidance/guidances.ts";
import { logProbability } from "../guidance/kinds/classifier.ts";
import { classifierNetwork, classifierSignature, denoiserNetwork, denoiserSignature } from "../models/families.ts";
import { float32, int32, type NDArray } from "../ndarray.ts";
import { parameterSpecs } from "../nn/module.ts";
import { samplingSchedule } from "../samplers/levels.ts";
import { solverOf } from "../samplers/sampler.ts";
import type { Solver } from "../samplers/solver.ts";
import { oneHot, where } from "../tensor/functions.ts";
import { gradients, topological } from "../tensor/gradient.ts";
import { type AnyTensor, constant, type Labels, type Tensor } from "../tensor/tensor.ts";
import { f32, type Graph, i64, rewrite, Spec, trace } from "../tensor/trace.ts";
import { checkSteady } from "./guidance.ts";
import { predictorOf } from "./predictor.ts";
import type { SettledRun } from "./settings.ts";

/** Parts of a model that can be written as programs of their own. */
const exportKinds = ["denoiser", "classifier", "classifier-gradient", "step"] as const;
/** A network, the gradient of log p(y | x_t) at x_t, or a whole step of guided sampling. */
export type ExportKind = (typeof exportKinds)[number];

/** A part of a model as a graph with inputs and outputs for other programs, its weights, and what those programs should know. */
export interface Exported {
  /** The part as a traced function, for `onnxFile`. */
  readonly graph: Graph;
  /** Weights by the names of the graph's inputs. */
  readonly bound: ReadonlyMap<string, NDArray>;
  /** Texts and JSON; every key starts with "guidestar.". */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Settings of `exportGraph`. */
export interface ExportOptions {
  /** The part. */
  readonly what: ExportKind;
  /** Images at a time, N: the shapes in the file are fixed. */
  readonly batchSize: number;
  /** Sampler and guidance of `step`; the others have no use for it. */
  readonly run: SettledRun;
}

interface Made {
  readonly graph: Graph;
  /** Metadata beside that of every export. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/**
 * A part of a model as a program that stands alone. Timesteps are those of the original chain, fractions allowed; labels count
 * the classes from 0, and the number of classes is the label for "no class" where the denoiser has one.
 *
 * - `denoiser`: `x` [N, C, H, W], `t` [N], `y` int64 [N] where it is told the class, `low_res` [N, C, h, w] where it upsamples,
 *   `guidance_scale` [N] where it is a student that is told the scale of guidance
 *   -> `out`, [N, C, H, W], or [N, 2C, H, W] where it learns variances.
 * - `classifier`: `x`, `t` -> `logits` [N, K].
 * - `classifier-gradient`: `x`, `t`, `y` -> `log_prob` [N], which is log p(y | x_t), and `grad`, its gradient with respect to x.
 * - `step`: one step of guided sampling. `x`, `noise` (standard normal), `step` int64 [], which counts 0, 1, 2, ... from pure
 *   noise, `y` where the class matters -> `x_next`, the x of the next step, and `x0`, the pictures that the step expects. Samplers
 *   that remember earlier steps also take `memory_NAME`, zeros at first, and give `memory_NAME_next`; heun's steps are two of these.
 *
 * A label or step that does not exist makes what is computed of it NaN: a file has no other way to refuse its inputs.
 *
 * @throws ModelError where the model lacks the network; UsageError for guidance that the model cannot serve
 */
export function exportGraph(model: Model, options: ExportOptions): Exported {
  const { graph, facts } = makers[options.what](model, options);
  const { classes, imageShape } = model;
  const { what, batchSize } = options;
  const all = { format: "guidestar-onnx-1", what, batch: batchSize, classes, imageShape, ...facts };
  return {
    graph,
    bound: boundWeights(model, graph),
    metadata: Object.fromEntries(
      Object.entries(all).map(([key, value]) => [
        `guidestar.${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  };
}

const makers: Readonly<Record<ExportKind, (model: Model, options: ExportOptions) => Made>> = {
  denoiser(model, { batchSize }) {
    const record = recordOf(model, "denoiser");
    const { process } = record;
    const { classes, lowRes, maxCfgScale } = denoiserSignature(record);
    const denoise = denoiserNetwork(record);
    const specs = {
      x: f32(batchSize, ...model.imageShape),
      t: f32(batchSize),
      ...(classes !== undefined && { y: i64(batchSize) }),
      ...(lowRes && { low_res: f32(batchSize, ...lowRes) }),
      ...(maxCfgScale !== undefined && { guidance_scale: f32(batchSize) }),
      denoiser: parameterSpecs(denoise),
    };
    const graph = trace(specs, ({ x, t, y, low_res, guidance_scale, denoiser }) => {
      const time = networkTime(t, process);
      const told = { label: y, lowRes: low_res, guidanceScale: guidance_scale };
      const out = denoise(denoiser, networkInput(x, time, process), time, told);
      return { out: y ? ifKnown(y, labelCount(model), out) : out };
    });
    return { graph, facts: denoiserFacts(record) };
  },

  classifier(model, { batchSize }) {
    const record = recordOf(model, "classifier");
    const graph = trace(classifierSpecs(model, record, batchSize), ({ x, t, classifier }) => ({
      logits: logitsOf(record, classifier, x, t),
    }));
    return { graph, facts: classifierFacts(record) };
  },

  "classifier-gradient"(model, { batchSize }) {
    const record = recordOf(model, "classifier");
    const specs = { ...classifierSpecs(model, record, batchSize), y: i64(batchSize) };
    const graph = trace(specs, ({ x, t, y, classifier }) => {
      const log_prob = logProbability(logitsOf(record, classifier, x, t), y);
      const known = (value: Tensor) => ifKnown(y, classifierSignature(record).classes, value);
      return { log_prob: known(log_prob), grad: known(gradients(log_prob.sum(), { x }).x) };
    });
    return { graph, facts: classifierFacts(record) };
  },

  step(model, { batchSize, run }) {
    const record = recordOf(model, "denoiser");
    const { sampler, guidance, clip } = run;
    checkSteady(guidance, "export");
    if (asks("weakModel", guidance))
      throw new UsageError("export: a step file holds one model, and autoguidance needs two; leave it out");
    const solver = solverOf(sampler, samplingSchedule(record.process, sampler));
    const table = stepTable(record.process, solver);
    const { lowRes } = denoiserSignature(record);
    const inner = stepGraph({
      ...predictorOf(model, run),
      solver,
      batchSize,
      labelled: true,
      lowResShape: lowRes,
    });
    const used = new Set(topological([...inner.outputs.values()]));
    // What depends on the step alone is looked up in the table; the rest is asked for, the class only where it matters.
    const asked = [...inner.inputs].filter(
      ([name, tensor]) => !tabled.test(name) && (name !== "label" || used.has(tensor)),
    );
    const specs: Record<string, Spec> = {};
    for (const [name, { dtype, shape }] of asked)
      specs[publicName(name)] = name === "label" ? i64(...shape) : new Spec(dtype, shape);
    const graph = trace(
      { ...specs, step: i64() },
      ({ step, ...given }: { step: Tensor<"int64">; [name: string]: AnyTensor }) => {
        const tables = { ...prefixed("coefficients", table.coefficients), ...prefixed("numbers", table.numbers) };
        const values = lookUp(tables, step, batchSize);
        for (const [name, { dtype }] of asked) values.set(name, given[publicName(name)]!.cast(dtype));
        const outputs = call(inner, values);
        const memory = solver.memory.map((name) => [`memory_${name}_next`, outputs.get(`memory/${name}`)!] as const);
        const labels = given.y as Labels | undefined;
        const known = (name: string) => {
          const value = outputs.get(name) as Tensor;
          return labels ? ifKnown(labels, labelCount(model), value) : value;
        };
        return { x_next: known("x"), x0: known("x0"), ...Object.fromEntries(memory) };
      },
    );
    const guide = !asks("classifier", guidance) ? {} : { classifierWeights: recordOf(model, "classifier").sha256 };
    return { graph, facts: { ...denoiserFacts(record), ...guide, sampler, guidance, clip, ...table } };
  },
};

/** What an input of the program of `sample` is called in the file. */
const publicName = (name: string): string =>
  ({ label: "y", lowRes: "low_res" })[name] ?? name.replace(/^memory\//, "memory_").replace(/^weights\//, "");
/** Inputs that depend on the step alone. */
const tabled = /^(coefficients|numbers)\//;
const prefixed = <T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));

/** What each evaluation of a sampler needs, in the order in which they are made: from pure noise to the picture. */
function stepTable({ rescaleTimesteps, steps }: ProcessConfig, { plan, numbers }: Solver) {
  const evaluations = plan.flat();
  // Nine digits give a float32 again.
  const digits = (value: number): number => Number(Math.fround(value).toPrecision(9));
  return {
    steps: evaluations.length,
    timesteps: evaluations.map(({ coefficients: { timestep } }) =>
      Number((rescaleTimesteps ? (timestep * steps) / 1000 : timestep).toPrecision(9)),
    ),
    coefficients: Object.fromEntries(
      coefficientNames.map((name) => [name, evaluations.map(({ coefficients }) => digits(coefficients[name]))]),
    ),
    numbers: Object.fromEntries(
      numbers.map((name) => [name, evaluations.map((evaluation) => digits(evaluation.numbers[name]!))]),
    ),
  };
}

/** The entries of tables at a step int64 [], each for all images [N], by the names of `stepGraph`'s inputs. */
function lookUp(
  tables: Readonly<Record<string, readonly number[]>>,
  step: Tensor<"int64">,
  batchSize: number,
): Map<string, AnyTensor> {
  const columns = Object.values(tables);
  const steps = columns[0]!.length;
  const table = constant(
    float32(
      [steps, columns.length],
      Array.from({ length: steps }, (_, i) => columns.map((column) => column[i]!)).flat(),
    ),
  );
  const indices = constant(
    int32(
      [steps, 1],
      Array.from({ length: steps }, (_, i) => i),
    ),
  );
  const chosen = indices.cast("int64").equal(step);
  // Chosen, not multiplied: an entry stays what it is to the last bit. A step outside the table gives 0 / 0.
  const row = where(chosen, table, 0)
    .sum(0)
    .div(where(chosen, 1, 0).sum(0));
  return new Map(Object.keys(tables).map((name, i) => [name, row.slice(0, i, i + 1).expand(batchSize)]));
}

/** Applies a graph as a function: its outputs, as expressions of other values for its inputs. */
function call(graph: Graph, values: ReadonlyMap<string, AnyTensor>): ReadonlyMap<string, AnyTensor> {
  const substitute = (tensor: AnyTensor): AnyTensor =>
    tensor.node.op === "input" ? (values.get(tensor.node.attributes.name) ?? tensor) : tensor;
  return rewrite({ ...graph, inputs: new Map() }, substitute).outputs;
}

/** Labels that a model's denoiser can be told, "no class" included; the classes, where it is told none. */
const labelCount = ({ denoiser, classes }: Model): number => {
  const { nullLabel } = denoiserSignature(denoiser!);
  return classes.length + (nullLabel === undefined ? 0 : 1);
};

/** Values [N, ...] of the images whose label, int [N], is one of 0 ... count - 1; NaN for the others, by 0 / 0. */
function ifKnown(labels: Labels, count: number, values: Tensor): Tensor {
  const known = oneHot(labels, count).sum(-1);
  return values.mul(perImage(known.div(known), values));
}

/** What the network sees as time, for timesteps of the original chain. */
const networkTime = (
  t: Tensor,
  { rescaleTimesteps, steps }: Pick<ProcessConfig, "rescaleTimesteps" | "steps">,
): Tensor => (rescaleTimesteps ? t.mul(1000).div(steps) : t);

/** A classifier's answer to x at timesteps of the original chain. */
function logitsOf(record: ClassifierRecord, weights: Record<string, Tensor>, x: Tensor, t: Tensor): Tensor {
  const time = networkTime(t, record.process);
  return classifierNetwork(record)(weights, networkInput(x, time, record.process), time);
}

const classifierSpecs = (model: Model, record: ClassifierRecord, batchSize: number) => ({
  x: f32(batchSize, ...model.imageShape),
  t: f32(batchSize),
  classifier: parameterSpecs(classifierNetwork(record)),
});

function denoiserFacts(record: DenoiserRecord) {
  const { nullLabel, lowRes, maxCfgScale } = denoiserSignature(record);
  return {
    process: record.process,
    denoiserWeights: record.sha256,
    ...(nullLabel !== undefined && { nullLabel }),
    ...(lowRes && { lowResolution: lowRes[1] }),
    ...(maxCfgScale !== undefined && { maxCfgScale }),
  };
}
const classifierFacts = ({ process, sha256 }: ClassifierRecord) => ({ process, classifierWeights: sha256 });

function recordOf<N extends "denoiser" | "classifier">(model: Model, name: N): NonNullable<Model[N]> {
  const record = model[name];
  if (record) return record;
  const other = name === "denoiser" ? "classifier" : "denoiser";
  const has = model[other] ? `only a ${other}` : "no network at all";
  throw new ModelError(
    `${model.source}: the model has no ${name} to export, ${has}; \`guidestar train ${name}\` adds one`,
  );
}

/** Weights of a model by the names that they have as inputs of its graphs. */
const boundWeights = ({ weights }: Model, { inputs }: Graph): ReadonlyMap<string, NDArray> =>
  new Map(
    Object.entries(weights).flatMap(([network, values]) =>
      Object.entries(values ?? {})
        .map(([key, value]) => [`${network}/${key}`, value] as const)
        .filter(([name]) => inputs.has(name)),
    ),
  );
