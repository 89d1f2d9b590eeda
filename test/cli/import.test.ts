import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { type ImportValues, importCheckpoint } from "../../src/cli/import/command.ts";
import { describedNetwork, networkFor } from "../../src/cli/import/network.ts";
import { arrayOf, readNpz } from "../../src/formats/npz.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature } from "../../src/models/families.ts";
import { float32, int32, type NDArray, sizeOf, stridesOf } from "../../src/ndarray.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Labels, Tensor } from "../../src/tensor/tensor.ts";
import { Spec, trace } from "../../src/tensor/trace.ts";
import { dictionary, storage, tensor, torchFile } from "../support/torch-file.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const data = (name: string): string => fileURLToPath(new URL(`../../conformance/data/${name}`, import.meta.url));
const references = JSON.parse(readFileSync(data("networks.json"), "utf8"));
const configOf = (name: string): string => at(`${name}.json`);
const names = ["unet_adm", "unet_superres", "classifier_attention"];
beforeAll(async () => {
  for (const name of names) await writeFile(configOf(name), JSON.stringify(references[name]));
});

const importing = (file: string, out: string, ...more: string[]) =>
  guidestar(["import", file, "--out", at(out), ...more]);

describe("an imported model computes what the reference does", () => {
  test.each([
    ["unet_adm", "out"],
    ["unet_superres", "out"],
    ["classifier_attention", "logits"],
  ])("%s", { timeout: 60_000 }, async (name, output) => {
    const { code, messages } = await importing(data(`${name}.pt`), name, "--config", configOf(name));
    expect({ code, messages }).toMatchObject({ code: 0, messages: expect.stringContaining("16x16") });
    const model = await loadModel(at(name));
    const arrays = readNpz(await readFile(data(`${name}.npz`)));
    const floats = (key: string) => {
      const { shape, data } = arrayOf(arrays, key, "float32");
      return float32(shape, data);
    };
    const integers = (key: string) => Array.from(arrayOf(arrays, key, "int64").data, Number);
    const x = floats("x");
    const inputs: Record<string, NDArray<"float32"> | NDArray<"int32">> = {
      x,
      t: float32([x.shape[0]!], integers("t")),
      y: int32([x.shape[0]!], integers("y")),
      ...(name === "unet_superres" && { lowRes: floats("low_res") }),
    };
    const specs = Object.fromEntries(
      Object.entries(inputs).map(([k, { dtype, shape }]) => [k, new Spec(dtype, shape)]),
    );
    const weights = (model.weights.denoiser ?? model.weights.classifier)!;
    const parameters = Object.fromEntries(
      Object.entries(weights).map(([k, { dtype, shape }]) => [k, new Spec(dtype, shape)]),
    );
    const graph = trace({ inputs: specs, parameters }, ({ inputs, parameters }) => {
      const { x, t, lowRes } = inputs as Record<string, Tensor>;
      const label = inputs.y as Labels | undefined;
      if (model.classifier) return { out: classifierNetwork(model.classifier)(parameters, x!, t!) };
      return { out: denoiserNetwork(model.denoiser!)(parameters, x!, t!, { label, lowRes }) };
    });
    await using backend = await openBackend();
    await using program = await compile(graph, backend, { bind: { parameters: weights } });
    const { out } = await program.run({ inputs });
    const expected = floats(output);
    const error = expected.data.reduce((most, value, i) => Math.max(most, Math.abs(value - out.data[i]!)), 0);
    expect(error).toBeLessThan(1e-4 * expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  });
});

test("the side of the small pictures, which neither weights nor configuration tell, is assumed aloud or given", async () => {
  const upsampler = (out: string, ...more: string[]) =>
    importing(data("unet_superres.pt"), out, "--config", configOf("unet_superres"), ...more);
  const assumed = await upsampler("quarter");
  expect(assumed.messages).toContain("note: it enlarges pictures of 4x4");
  expect(assumed.messages).toContain("--small_size says otherwise");
  const given = await upsampler("half", "--small_size", "8");
  expect(given.messages).not.toContain("it enlarges pictures of");
  const sides = await Promise.all(["quarter", "half"].map((out) => loadModel(at(out))));
  expect(sides.map(({ denoiser }) => denoiserSignature(denoiser!).lowRes)).toEqual([
    [3, 4, 4],
    [3, 8, 8],
  ]);
});

test("flags as the reference's; a recognised network equals the configured one; noise is kept", async () => {
  const flags = ["--image_size", "16", "--num_heads", "2", "--noise_schedule", "cosine", "--diffusion_steps", "4000"];
  const { code, messages } = await importing(data("unet_adm.pt"), "flags", ...flags, "--rescale_timesteps", "True");
  expect({ code, messages }).toMatchObject({ code: 0 });
  await importing(data("unet_adm.pt"), "configured", "--config", configOf("unet_adm"));
  const [model, configured] = [await loadModel(at("flags")), await loadModel(at("configured"))];
  expect(model.denoiser!.process).toEqual({
    schedule: "cosine",
    steps: 4000,
    prediction: "eps",
    variance: "learned-range",
    rescaleTimesteps: true,
  });
  expect(model.denoiser!.config).toMatchObject({ ...configured.denoiser!.config });
  expect(model.denoiser!.sha256).toBe(configured.denoiser!.sha256);
  expect(model.classes).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

/** A command line as the reference's README gives them, for denoiser, classifier and sampling at once. */
const wholeLine = [
  "--attention_resolutions 8,4 --channel_mult 1,2 --class_cond True --diffusion_steps 500 --dropout 0.1 --image_size 16",
  "--learn_sigma True --noise_schedule cosine --num_channels 32 --num_heads 2 --num_heads_upsample -1",
  "--num_head_channels -1 --num_res_blocks 1 --resblock_updown True --use_checkpoint False --use_fp16 True",
  "--use_new_attention_order False --use_scale_shift_norm True --predict_xstart False --rescale_timesteps True",
  "--use_kl False --rescale_learned_sigmas False --sigma_small False --timestep_respacing 250 --use_ddim False",
  "--classifier_attention_resolutions 8 --classifier_depth 1 --classifier_width 32 --classifier_pool attention",
  "--classifier_resblock_updown True --classifier_use_scale_shift_norm True --classifier_use_fp16 True",
  "--classifier_scale 1.0 --batch_size 4 --num_samples 100",
].flatMap((line) => line.split(" "));

describe("command lines of the reference", () => {
  test("one serves for the denoiser and the classifier, with what it says of each", async () => {
    const denoiser = await importing(data("unet_adm.pt"), "whole", ...wholeLine, "--num_classes", "10");
    expect(denoiser).toMatchObject({ code: 0, messages: expect.stringMatching(/ignored|16x16/) });
    expect(denoiser.messages).toContain(
      "weights don't depend on --dropout, --use_checkpoint, --use_fp16, --classifier_use_fp16, --use_kl, " +
        "--rescale_learned_sigmas, --timestep_respacing, --use_ddim, --classifier_scale, --batch_size, --num_samples; ignored",
    );
    const classifier = await importing(data("classifier_attention.pt"), "whole", ...wholeLine);
    expect(classifier).toMatchObject({
      code: 0,
      messages: expect.stringContaining("heads of 64 channels, as in openai/guided-diffusion"),
    });
    await importing(data("unet_adm.pt"), "whole-config", "--config", configOf("unet_adm"));
    await importing(data("classifier_attention.pt"), "whole-config", "--config", configOf("classifier_attention"));
    const [model, configured] = [await loadModel(at("whole")), await loadModel(at("whole-config"))];
    const noise = { schedule: "cosine", steps: 500, rescaleTimesteps: true };
    expect(model.denoiser!.process).toEqual({ ...noise, prediction: "eps", variance: "learned-range" });
    expect(model.classifier!.process).toEqual(noise);
    // The attention at 4 pixels is at a resolution that two levels don't have.
    expect(model.denoiser!.config).toEqual({ ...configured.denoiser!.config, attentionResolutions: [2, 4] });
    expect(model.classifier!.config).toEqual({
      ...configured.classifier!.config,
      numHeadChannels: 64,
      numHeads: undefined,
    });
  });

  test("an empty channel_mult, and heads left out, are the reference's defaults", async () => {
    const line = ["--image_size", "16", "--channel_mult", "", "--num_channels", "32", "--num_head_channels", "-1"];
    const { code, messages } = await importing(data("unet_adm.pt"), "plain", ...line);
    expect({ code, messages }).toMatchObject({
      code: 0,
      messages: expect.stringContaining("4 heads, as in openai/guided-diffusion"),
    });
    expect((await loadModel(at("plain"))).denoiser!.config).toMatchObject({ numHeads: 4, channelMult: [1, 2] });
  });

  test("what a line for both says of the denoiser alone is named where a classifier is imported", async () => {
    const file = data("classifier_attention.pt");
    const flags = ["--num_head_channels", "16", "--use_new_attention_order", "True", "--num_heads", "-1"];
    const { code, messages } = await importing(file, "dropped", ...flags, "--class_cond", "True");
    expect(messages).toContain(
      "note: the command line describes a denoiser too, and --num_head_channels, --use_new_attention_order are about that alone; " +
        "--config or classifier_ options describe the classifier\n" +
        "note: attention has heads of 64 channels, as in openai/guided-diffusion; --config says otherwise\n",
    );
    expect({ code, messages }).toMatchObject({
      code: 3,
      messages: expect.stringContaining("do not divide into heads of 64"),
    });
    // The same of the classifier, where nothing is said of a denoiser.
    const own = await importing(file, "not-dropped", ...flags.slice(0, 2), "--image_size", "16");
    expect(own).toMatchObject({ code: 0, messages: expect.not.stringContaining("describes a denoiser") });
  });

  test("what was assumed is said, with what says otherwise", async () => {
    const order = "--use_new_attention_order True says otherwise";
    const enlarges = "6 channels come in, so it is taken for an upsampler of images of 3; --config says otherwise";
    const notes = async (file: string, ...line: string[]) => {
      const { code, messages } = await importing(data(`${file}.pt`), file, "--num_heads", "2", ...line);
      expect({ code, messages }).toMatchObject({ code: 0 });
      return [order, enlarges].map((note) => messages.includes(note));
    };
    expect(await notes("unet_adm", "--image_size", "16")).toEqual([true, false]);
    expect(await notes("unet_adm", "--image_size", "16", "--use_new_attention_order", "False")).toEqual([false, false]);
    expect(await notes("unet_superres", "--image_size", "16")).toEqual([true, true]);
    expect(await notes("unet_superres", "--large_size", "16")).toEqual([true, false]);
  });

  test.each([
    [["--num_classes", "7"], "--num_classes is 7 but the tensors are of adm-unet with 10 classes"],
    [["--class_cond", "False"], "--class_cond is False but the tensors are of adm-unet with 10 classes"],
    [["--learn_sigma", "False"], 'tensor "out.2.weight": expected shape [3, 32, 3, 3] but found [6, 32, 3, 3]'],
    [["--resblock_updown", "False"], "tensor"],
    [["--preset", "adm-64", "--num_head_channels", "100"], "unet_adm.pt: attention: 384 channels do not divide"],
    [["--num_head_channels", "24"], "unet_adm.pt: attention: 64 channels do not divide into heads of 24 channels"],
  ])("what contradicts the tensors is refused: %s", async (flags, message) => {
    const line = ["--image_size", "16", "--num_heads", "2", ...flags];
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", ...line);
    expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(message) });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test("x_{t-1} and a plain learned variance, which the reference's flags cannot say", async () => {
    const line = ["--image_size", "16", "--num_heads", "2", "--prediction", "previous", "--variance", "learned"];
    expect((await importing(data("unet_adm.pt"), "previous", ...line)).code).toBe(0);
    expect((await loadModel(at("previous"))).denoiser!.process).toMatchObject({
      prediction: "previous",
      variance: "learned",
    });
    const twice = await importing(data("unet_adm.pt"), "nothing", ...line, "--predict_xstart", "True");
    expect(twice).toMatchObject({ code: 2, messages: expect.stringContaining("give one of them") });
  });

  test("a schedule that cannot be is refused", async () => {
    const line = ["--image_size", "16", "--num_heads", "2", "--diffusion_steps", "10"];
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", ...line);
    expect({ code, messages }).toMatchObject({ code: 2, messages: expect.stringContaining('use "cosine"') });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test("flags change a preset: other classes, none, heads by number", async () => {
    const values = Object.fromEntries(Object.keys(importCheckpoint.options).map((name) => [name, undefined]));
    const network = async (given: Partial<ImportValues>) => {
      const all = { ...values, ...given } as ImportValues;
      return networkFor(all, await describedNetwork(all), {}, "f.pt", () => undefined).config;
    };
    expect(await network({ preset: "adm-64", num_classes: 7 })).toMatchObject({ numClasses: 7, numHeadChannels: 64 });
    expect(await network({ preset: "adm-64-classifier", num_classes: 7 })).toMatchObject({ outChannels: 7 });
    expect(await network({ preset: "adm-256", class_cond: false })).not.toHaveProperty("numClasses");
    expect(await network({ preset: "adm-256-unconditional", class_cond: true })).toHaveProperty("numClasses", 1000);
    expect(await network({ preset: "adm-256", learn_sigma: false })).toMatchObject({ outChannels: 3 });
    const heads = await network({ preset: "adm-256", num_heads: 4 });
    expect(heads).toHaveProperty("numHeads", 4);
    expect(heads).not.toHaveProperty("numHeadChannels");
  });
});

test("wrapped and nested weights; float16 halves the file and rounds once", async () => {
  const weights = readTorch(readFileSync(data("unet_adm.pt")));
  const wrapped = Object.entries(weights).map(([name, value]) => [`module.${name}`, value] as const);
  await writeFile(at("wrapped.safetensors"), writeSafetensors(Object.fromEntries(wrapped)));
  const floats = wrapped.map(([name, { shape }], i) => [
    name,
    tensor(storage(String(i), sizeOf(shape)), 0, shape, stridesOf(shape)),
  ]);
  const storages = wrapped.map(([, { data }], i) => [
    String(i),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
  const nested = dictionary({ step: "K\x05", model: dictionary(Object.fromEntries(floats)) });
  await writeFile(at("nested.pt"), torchFile(nested, Object.fromEntries(storages)));
  const config = ["--config", configOf("unet_adm")];
  expect((await importing(at("wrapped.safetensors"), "wrapped", ...config)).code).toBe(0);
  expect((await importing(at("nested.pt"), "nested", ...config)).code).toBe(0);
  expect((await importing(data("unet_adm.pt"), "half", ...config, "--float16")).code).toBe(0);
  const hash = async (name: string) => (await loadModel(at(name))).denoiser!.sha256;
  await importing(data("unet_adm.pt"), "configured", ...config);
  expect(await hash("wrapped")).toBe(await hash("configured"));
  expect(await hash("nested")).toBe(await hash("configured"));
  const half = (await loadModel(at("half"))).weights.denoiser!;
  for (const [name, { data }] of Object.entries(weights))
    expect(
      half[name]!.data.every(
        (value, i) => Math.abs(value - data[i]!) <= Math.max(2 ** -11 * Math.abs(data[i]!), 2 ** -25),
      ),
    ).toBe(true);
  const size = (name: string) => statSync(at(name, "denoiser.safetensors")).size;
  expect(size("half") / size("configured")).toBeLessThan(0.52);
});

describe("an --out that cannot be written is refused by name, and nothing changes", () => {
  const config = () => ["--config", configOf("unet_adm")];
  test("a file, and below one", async () => {
    await writeFile(at("file"), "");
    for (const out of ["file", "file/below"])
      expect(await importing(data("unet_adm.pt"), out, ...config())).toMatchObject({
        code: 2,
        messages: expect.stringContaining(`--out: ${at(out)} cannot be written, for ${at("file")} is no folder`),
      });
  });

  test.runIf(process.platform === "linux")("the system's own places", async () => {
    for (const out of ["/dev/null", "/proc", "/proc/x"])
      expect(await guidestar(["import", data("unet_adm.pt"), "--out", out, ...config()])).toMatchObject({
        code: 2,
        messages: expect.stringContaining(`--out: ${out} cannot be written`),
      });
  });

  test.each(["denoiser.safetensors", "denoiser.safetensors.new"])("a model in which %s is a folder", async (name) => {
    const classifier = ["--config", configOf("classifier_attention")];
    expect((await importing(data("classifier_attention.pt"), name, ...classifier)).code).toBe(0);
    const before = JSON.stringify(await loadModel(at(name)));
    await mkdir(at(name, name));
    const { code, messages } = await importing(data("unet_adm.pt"), name, ...config());
    expect({ code, messages }).toMatchObject({ code: 2, messages: expect.stringContaining(`${at(name, name)}: `) });
    expect(readdirSync(at(name)).sort()).toEqual(["classifier.safetensors", name, "model.json"].sort());
    expect(JSON.stringify(await loadModel(at(name)))).toBe(before);
  });

  test("a model.json that is a folder", async () => {
    await mkdir(at("odd-record", "model.json"), { recursive: true });
    const { code, messages } = await importing(data("unet_adm.pt"), "odd-record", ...config());
    expect({ code, messages }).toMatchObject({
      code: 3,
      messages: expect.stringContaining("model.json: cannot be read"),
    });
  });
});

test("Ctrl-C ends it, and the folder is as it was", async () => {
  const argv = (out: string) => ["import", data("unet_adm.pt"), "--out", at(out), "--config", configOf("unet_adm")];
  // The message comes before the first tensor is written.
  const stopped = (out: string) =>
    guidestar([...argv(out), "--classifier_scale", "1"], { onMessage: (_, interrupt) => interrupt() });
  expect(await stopped("stopped")).toMatchObject({ code: 130, messages: expect.stringMatching(/interrupted\n$/) });
  expect(existsSync(at("stopped"))).toBe(false);

  expect((await guidestar(argv("kept"))).code).toBe(0);
  const before = readFileSync(at("kept", "model.json"), "utf8");
  expect((await stopped("kept")).code).toBe(130);
  expect(readFileSync(at("kept", "model.json"), "utf8")).toBe(before);
  expect(readdirSync(at("kept")).sort()).toEqual(["denoiser.safetensors", "model.json"]);
});

test("a classifier joins a denoiser, and other noise is refused where it is used", async () => {
  const config = (name: string) => ["--config", configOf(name)];
  expect((await importing(data("unet_adm.pt"), "both", ...config("unet_adm"))).code).toBe(0);
  const other = [...config("classifier_attention"), "--noise_schedule", "cosine"];
  const joined = await importing(data("classifier_attention.pt"), "both", ...other);
  expect(joined).toMatchObject({ code: 0, messages: expect.stringMatching(/note: .*cosine.*import it again/) });
  const sample = ["sample", "--model", at("both"), "--classifier-scale", "1", "--out", at("a.png"), "--steps", "2"];
  const { code, messages } = await guidestar(sample);
  expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining('"cosine"') });
});

describe("bad input leaves nothing behind and says which tensor", () => {
  const weights = readTorch(readFileSync(data("unet_adm.pt")));
  const { "out.2.bias": bias, ...rest } = weights;
  const broken = (name: string, tensors: Record<string, NDArray<"float32">>) => ({
    name: `${name}.safetensors`,
    bytes: writeSafetensors(tensors),
  });
  test.each([
    [broken("missing", rest), 'tensor "out.2.bias" is missing; expected shape [6]'],
    [broken("shape", { ...rest, "out.2.bias": float32([5]) }), "expected shape [6] but found [5]"],
    [broken("extra", { ...weights, more: bias! }), 'tensor "more" of shape [6] belongs to no part'],
    [
      broken("nan", { ...rest, "out.2.bias": float32([6], [0, 0, Number.NaN, 0, 0, 0]) }),
      'tensor "out.2.bias": expected finite numbers but found NaN at 2',
    ],
    [{ name: "cut.pt", bytes: readFileSync(data("unet_adm.pt")).subarray(0, 900_000) }, "truncated"],
    [
      {
        name: "opt.pt",
        bytes: readFileSync(fileURLToPath(new URL("../formats/data/optimizer.pt", import.meta.url))),
      },
      "optimizer's state",
    ],
  ])("$name", async ({ name, bytes }, message) => {
    await writeFile(at(name), bytes);
    const { code, messages } = await importing(at(name), "nothing", "--config", configOf("unet_adm"));
    expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(message) });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test("what could not be loaded again is not written, and takes no time", async () => {
    const { kind, config } = references.unet_adm;
    const with0 = { ...config, attention_resolutions: [0, 2] }; // 0 is 16 // 32
    await writeFile(at("zero.json"), JSON.stringify({ kind, config: with0 }));
    expect((await importing(data("unet_adm.pt"), "sized", "--config", at("zero.json"))).code).toBe(0);
    const before = JSON.stringify(await loadModel(at("sized")));
    for (const [odd, field] of [
      [{ image_size: 1e9 }, "imageShape.1"],
      [{ attention_resolutions: Array.from({ length: 17 }, (_, i) => i + 1) }, "denoiser.config.attentionResolutions"],
      [{ channel_mult: Array.from({ length: 30 }, () => 1) }, "denoiser.config.channelMult"],
      [{ num_res_blocks: 1e6 }, "denoiser.config.numResBlocks"],
      [{ model_channels: 1e12 }, "denoiser.config.modelChannels"],
    ] as const) {
      await writeFile(at("absurd.json"), JSON.stringify({ kind, config: { ...config, ...odd } }));
      const absurd = ["--config", at("absurd.json")];
      const { code, messages } = await importing(data("unet_adm.pt"), "nothing", ...absurd);
      expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(`model.json: ${field}`) });
      expect((await importing(data("unet_adm.pt"), "sized", ...absurd)).code).toBe(3);
      expect(existsSync(at("nothing"))).toBe(false);
    }
    const line = ["--config", at("zero.json"), "--diffusion_steps", "2000000"];
    const steps = await importing(data("unet_adm.pt"), "sized", ...line);
    expect(steps).toMatchObject({ code: 2, messages: expect.stringContaining("from 1 to 1000000") });
    expect(JSON.stringify(await loadModel(at("sized")))).toBe(before);
  });

  test("a size of images that the network cannot take", async () => {
    const sized = (file: string, ...line: string[]) => importing(data(`${file}.pt`), "nothing", ...line);
    const odd = ["--image_size", "15", "--num_heads", "2"];
    for (const line of [odd, ["--config", configOf("unet_adm"), "--image_size", "15"]])
      expect(await sized("unet_adm", ...line)).toMatchObject({
        code: 3,
        messages: expect.stringMatching(/unet_adm\.pt: unet: x must be .* divisible by 2,/),
      });
    expect(await sized("unet_superres", "--large_size", "15", "--num_heads", "2")).toMatchObject({
      code: 3,
      messages: expect.stringContaining("divisible by 2,"),
    });
    expect(existsSync(at("nothing"))).toBe(false);
    // A classifier leaves an odd last row out.
    const classifier = ["--config", configOf("classifier_attention"), "--image_size", "17"];
    expect((await importing(data("classifier_attention.pt"), "odd", ...classifier)).code).toBe(0);
  });

  test("an unknown name in the configuration", async () => {
    const { kind, config } = references.unet_adm;
    await writeFile(at("odd.json"), JSON.stringify({ kind, config: { ...config, depth: 3 } }));
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", "--config", at("odd.json"));
    expect({ code, messages }).toMatchObject({
      code: 3,
      messages: expect.stringContaining(`${at("odd.json")}: network config: UNetModel has no argument "depth"`),
    });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test.each([
    ["heads", ["--image_size", "16"], "--num_heads"],
    ["the size of the images", ["--num_heads", "2"], "--image_size"],
  ])("%s must be said", async (_, line, missing) => {
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", ...line);
    expect({ code, messages }).toMatchObject({ code: 2, messages: expect.stringContaining(missing) });
  });
});
