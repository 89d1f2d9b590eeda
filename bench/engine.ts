import { coefficientSpecs, coefficients, noiseSchedule } from "../src/diffusion/noise-schedule.ts";
import { guide } from "../src/guidance/guide.ts";
import { encoderUnet } from "../src/models/adm/classifier.ts";
import type { ClassifierConfig } from "../src/models/adm/config.ts";
import { benchmarkConfigs } from "../src/models/adm/presets.ts";
import { unet } from "../src/models/adm/unet.ts";
import { float32, type Shape } from "../src/ndarray.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { ddpmStep } from "../src/samplers/solvers/ddpm.ts";
import { countFlops } from "../src/tensor/cost.ts";
import { conv2d } from "../src/tensor/functions.ts";
import { gradients } from "../src/tensor/gradient.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import { f32, type Graph, i32, specsOf, trace } from "../src/tensor/trace.ts";
import { compileTraining } from "../src/training/step/program.ts";
import { batch, labels, linear, noise, side, trainingStep, weightsOf } from "./networks.ts";

const rounds = 11;
const images = [batch, 3, side, side] as const;
const classifierConfig: ClassifierConfig = {
  imageSize: side,
  inChannels: 3,
  outChannels: 10,
  modelChannels: 64,
  channelMult: [1, 2, 2],
  numResBlocks: 1,
  attentionResolutions: [2],
  numHeadChannels: 32,
};

const flopsOf = ({ outputs }: Pick<Graph, "outputs">): number => countFlops([...outputs.values()]);
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Rates of the UNets against that of plain convolutions: forward, one guided step, training. */
export async function engine(): Promise<void> {
  await using backend = await openBackend();

  const kernel: Shape = [64, 64, 3, 3];
  // One row of the result leaves the program: carrying all of it between threads is not what is measured.
  const plainGraph = trace({ x: f32(batch, 64, side, side), weight: f32(...kernel) }, ({ x, weight }) => ({
    y: [0, 1, 2, 3]
      .reduce<Tensor>((h) => conv2d(h, weight, undefined, { padding: 1 }), x)
      .slice(0, 0, 1)
      .slice(1, 0, 1),
  }));
  const plain = await compile(plainGraph, backend, {
    bind: {
      weight: float32(
        kernel,
        noise(kernel).data.map((value) => value / 24),
      ),
    },
  });
  const x64 = noise([batch, 64, side, side]);

  const denoise = unet(benchmarkConfigs["bench-64"]);
  const denoiser = weightsOf(denoise);
  const classify = encoderUnet(classifierConfig);
  const classifier = weightsOf(classify);
  const forwardGraph = trace(
    { params: specsOf(denoiser), x: f32(...images), t: f32(batch), y: i32(batch) },
    ({ params, x, t, y }) => ({ out: denoise(params, x, t, { label: y }) }),
  );
  const forward = await compile(forwardGraph, backend, { bind: { params: denoiser } });

  const guidedGraph = trace(
    {
      denoiser: specsOf(denoiser),
      classifier: specsOf(classifier),
      x: f32(...images),
      noise: f32(...images),
      coefficients: coefficientSpecs(batch),
      label: i32(batch),
    },
    ({ x, noise, coefficients, label, ...weights }) => {
      const predictor = guide(
        {
          denoiser: (x, t, condition) => denoise(weights.denoiser, x, t, condition),
          process: linear,
          classifier: (x, t) => classify(weights.classifier, x, t),
        },
        { classifierScale: 2, form: "mean" },
      );
      return { x: ddpmStep(predictor, { x, noise, coefficients, condition: { label } }).x };
    },
  );
  const guided = await compile(guidedGraph, backend, { bind: { denoiser, classifier } });
  // What the step is made of, counted apart from it.
  const gradientGraph = trace({ params: specsOf(classifier), x: f32(...images), t: f32(batch) }, ({ params, x, t }) =>
    gradients(classify(params, x, t).sum(), { x }),
  );
  const parts = flopsOf(forwardGraph) + flopsOf(gradientGraph);

  const inputs = { x: noise(images, 3), t: noise([batch], 4), y: labels };
  const stepInputs = {
    x: inputs.x,
    noise: noise(images, 5),
    coefficients: coefficients(noiseSchedule(linear, "25"), new Array<number>(batch).fill(12)),
    label: labels,
  };
  const measured: Record<string, number[]> = {};
  const rate = async (flops: number, run: () => Promise<unknown>): Promise<number> => {
    const began = performance.now();
    await run();
    return flops / (performance.now() - began) / 1e6; // GFLOP/s
  };
  const note = (name: string, value: number): void => {
    measured[name] = [...(measured[name] ?? []), value];
  };
  const plainRate = () => rate(flopsOf(plainGraph), () => plain.run({ x: x64 }));

  for (let round = 0; round <= rounds; round++) {
    const base = await plainRate();
    const ratios = {
      forward: (await rate(flopsOf(forwardGraph), () => forward.run(inputs))) / base,
      guided: base / (await rate(parts, () => guided.run(stepInputs))),
    };
    if (round === 0) continue; // the first run of a program allocates
    note("plain", base);
    for (const [name, value] of Object.entries(ratios)) note(name, value);
  }
  for (const name of ["bench-64", "bench-32"] as const) {
    const { graph, state, inputs } = trainingStep(name);
    await using program = await compileTraining(graph, backend, state);
    // Backward to weights and to activations costs the forward pass twice over.
    const flops = 3 * forwardFlops(name);
    for (let round = 0; round <= rounds; round++) {
      const base = await plainRate();
      const value = (await rate(flops, () => program.run(inputs(round + 1)))) / base;
      if (round > 0) note(name, value);
    }
  }
  const figure = (name: string): string => median(measured[name]!).toFixed(2);
  console.log(`plain convolutions, 64 channels, 32x32, batch 16   ${median(measured.plain!).toFixed(0)} GFLOP/s`);
  console.log(`UNet forward (64 channels), rate against plain     ${figure("forward")}   (aim: at least 1.15)`);
  console.log(`guided step, time against its parts at plain rate  ${figure("guided")}   (aim: at most 1.15)`);
  console.log(`training step, 64 channels, rate against plain     ${figure("bench-64")}   (aim: at least 0.80)`);
  console.log(`training step, 32 channels, rate against plain     ${figure("bench-32")}   (aim: at least 0.50)`);
}

/** Floating-point operations of a network's forward pass over the batch. */
function forwardFlops(name: keyof typeof benchmarkConfigs): number {
  const network = unet(benchmarkConfigs[name]);
  const specs = { params: specsOf(weightsOf(network)), x: f32(...images), t: f32(batch), y: i32(batch) };
  return flopsOf(trace(specs, ({ params, x, t, y }) => ({ out: network(params, x, t, { label: y }) })));
}
