import { readFile } from "node:fs/promises";
import { openFile } from "../checkpoint/file-source.ts";
import { importNetwork, type NetworkToImport, withoutPrefix } from "../checkpoint/import.ts";
import type { LazyTensor } from "../checkpoint/lazy-tensor.ts";
import { openSafetensors } from "../checkpoint/safetensors.ts";
import { openTorch } from "../checkpoint/torch.ts";
import { describeNoise, type ProcessConfig } from "../diffusion/process-config.ts";
import { ModelError, UsageError } from "../errors.ts";
import type { BackboneConfig, NetworkConfig } from "../models/config.ts";
import { publishedNetworks } from "../models/published.ts";
import { recognise } from "../models/recognise.ts";
import { configFromReference, type ReferenceConfig } from "../models/reference.ts";
import type { Context } from "./command.ts";
import type { ImportValues } from "./commands/import.ts";

/** `guidestar import`. */
export async function runImport(values: ImportValues, { terminal }: Context, file: string): Promise<void> {
  if (values.preset !== undefined && values.config !== undefined)
    throw new UsageError("--preset and --config both say what the network is; give one of them");
  if (!/\.(pt|pth|safetensors)$/i.test(file))
    throw new UsageError(`${file}: expected a checkpoint, .pt, .pth or .safetensors`);
  const opened = openFile(file);
  try {
    const tensors: Readonly<Record<string, LazyTensor>> = withoutPrefix(
      /\.safetensors$/i.test(file)
        ? openSafetensors(opened.source, file).tensors
        : openTorch(opened.source, file, { entry: values.entry }),
    );
    const network = await networkFor(values, tensors, file);
    const { config } = network;
    const count = network.kind === "classifier" ? network.config.outChannels : network.config.numClasses;
    const classes = await classNames(values.classes, count);
    const record = await importNetwork(values.out, {
      network: recordOf(network, values),
      tensors,
      model: {
        classes,
        imageShape: [config.inChannels, config.imageSize, config.imageSize],
        preprocessing: { size: config.imageSize },
      },
      source: file,
      storage: values.float16 ? "float16" : "float32",
    });
    const name = network.kind === "classifier" ? "classifier" : "denoiser";
    const { parameters, process } = record[name]!;
    terminal.message(
      `${values.out}: ${name} of ${(parameters / 1e6).toFixed(1)} M parameters, ${config.imageSize}x${config.imageSize}; ` +
        `${describeNoise(process)}\n`,
    );
  } finally {
    opened.close();
  }
}

async function networkFor(
  values: ImportValues,
  tensors: Readonly<Record<string, LazyTensor>>,
  file: string,
): Promise<NetworkConfig> {
  const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
  const heads = { numHeads: values.num_heads, numHeadChannels: values.num_head_channels };
  const given = (network: NetworkConfig): NetworkConfig => override(network, values);
  if (values.config !== undefined) return given(await readConfig(values.config));
  if (values.preset !== undefined) return given(publishedNetworks[values.preset]);
  if (heads.numHeads === undefined && heads.numHeadChannels === undefined)
    throw new UsageError(
      "the tensors don't tell the attention heads; give --num_heads or --num_head_channels, or the whole network by --preset or --config",
    );
  try {
    const network = recognise(shapes, {
      ...heads,
      imageSize: values.image_size ?? values.large_size,
      useNewAttentionOrder: values.use_new_attention_order,
      numResBlocks: values.num_res_blocks ?? values.classifier_depth,
    });
    return given(network);
  } catch (error) {
    throw error instanceof ModelError ? new ModelError(`${file}: ${error.message}`, { cause: error }) : error;
  }
}

async function readConfig(path: string): Promise<NetworkConfig> {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new ModelError(`${path}: cannot be read (${(cause as Error).message})`, { cause });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const { kind, config } = (json ?? {}) as Partial<ReferenceConfig>;
  if (typeof kind !== "string" || typeof config !== "object" || config === null)
    throw new ModelError(`${path}: expected { "kind": "UNetModel", "config": { ... } }`);
  return configFromReference({ kind, config });
}

/** A network with what the flags say; the tensors are held to the result. */
function override(network: NetworkConfig, values: ImportValues): NetworkConfig {
  const isClassifier = network.kind === "classifier";
  const imageSize = values.image_size ?? values.large_size ?? network.config.imageSize;
  const sides = (isClassifier ? values.classifier_attention_resolutions : undefined) ?? values.attention_resolutions;
  const changes: Partial<BackboneConfig> = {
    imageSize,
    ...defined({
      modelChannels: (isClassifier ? values.classifier_width : undefined) ?? values.num_channels,
      numResBlocks: (isClassifier ? values.classifier_depth : undefined) ?? values.num_res_blocks,
      numHeads: values.num_heads,
      numHeadChannels: values.num_head_channels,
      attentionResolutions: sides?.map((side) => Math.floor(imageSize / side)).filter((factor) => factor > 0),
      channelMult: values.channel_mult,
      useScaleShiftNorm:
        (isClassifier ? values.classifier_use_scale_shift_norm : undefined) ?? values.use_scale_shift_norm,
      resblockUpdown: (isClassifier ? values.classifier_resblock_updown : undefined) ?? values.resblock_updown,
      useNewAttentionOrder: values.use_new_attention_order,
    }),
  };
  if (network.kind === "classifier")
    return {
      kind: network.kind,
      config: { ...network.config, ...changes, ...defined({ pool: values.classifier_pool }) },
    };
  const config = { ...network.config, ...changes };
  if (values.class_cond !== undefined && values.class_cond !== (config.numClasses !== undefined))
    throw new ModelError(
      `--class_cond is ${values.class_cond ? "True" : "False"} but the network is told ${config.numClasses ?? "no"} classes`,
    );
  return { kind: network.kind, config };
}

const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

/** The noise that published weights know: cosine for the 64-pixel denoiser and classifier, else linear; 1000 steps. */
function recordOf(network: NetworkConfig, values: ImportValues): NetworkToImport {
  const cosine = values.preset === "adm-64" || values.preset === "adm-64-classifier";
  const noise = {
    schedule: values.noise_schedule ?? (cosine ? "cosine" : "linear"),
    steps: values.diffusion_steps ?? 1000,
    rescaleTimesteps: values.rescale_timesteps ?? false,
  } as const;
  if (network.kind === "classifier") return { name: "classifier", config: network.config, process: noise };
  const { config } = network;
  const learned = values.learn_sigma ?? config.outChannels === 2 * config.inChannels;
  const process: ProcessConfig = {
    ...noise,
    prediction: values.predict_xstart ? "x0" : "eps",
    variance: learned ? "learnedRange" : values.sigma_small ? "fixedSmall" : "fixedLarge",
  };
  const lowResolution = values.small_size ?? Math.max(1, Math.floor(config.imageSize / 4));
  return { name: "denoiser", config, process, ...(network.kind === "superRes" && { lowResolution }) };
}

async function classNames(file: string | undefined, count = 0): Promise<string[]> {
  if (file === undefined) return Array.from({ length: count }, (_, label) => String(label));
  const text = await readFile(file, "utf8").catch((cause) => {
    throw new UsageError(`--classes ${file}: cannot be read (${(cause as Error).message})`, { cause });
  });
  const names = text.trim().split(/\r?\n/);
  if (names.length !== count && count > 0)
    throw new ModelError(`${file}: expected ${count} class names, one on each line, but found ${names.length}`);
  return names;
}
