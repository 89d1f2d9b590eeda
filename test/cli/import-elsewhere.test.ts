import { existsSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync, zipSync } from "fflate";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { float32, type NDArray, stridesOf } from "../../src/ndarray.ts";
import { dictionary, storage, tensor, torchFile } from "../support/torch-file.ts";
import { guidestar, temporaryFolder } from "./world.ts";

type Weights = Readonly<Record<string, NDArray<"float32">>>;

const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
const data = (name: string): string => fileURLToPath(new URL(`../../conformance/data/${name}`, import.meta.url));
const weights: Weights = readTorch(readFileSync(data("unet_adm.pt")));
const flags = ["--image_size", "16", "--num_heads", "2"];
let plain = "";
beforeAll(async () => {
  await guidestar(["import", data("unet_adm.pt"), "--out", at("plain"), ...flags]);
  plain = (await loadModel(at("plain"))).denoiser!.sha256;
});

/** All weights times a number, so that networks can be told apart. */
const times = (factor: number): Weights =>
  Object.fromEntries(
    Object.entries(weights).map(([name, { shape, data }]) => [
      name,
      float32(
        shape,
        data.map((v) => v * factor),
      ),
    ]),
  );
const prefixed = (prefix: string, all: Weights = weights): Weights =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [prefix + name, value]));

/** A file of torch.save: entries of dictionaries of tensors; without a name, the tensors stand beside them. */
function saved(entries: Readonly<Record<string, Weights>>, others: Readonly<Record<string, string>> = {}): Uint8Array {
  const storages: Record<string, Uint8Array> = {};
  const pickled = (all: Weights): Record<string, string> =>
    Object.fromEntries(
      Object.entries(all).map(([name, { shape, data }]) => {
        const key = String(Object.keys(storages).length);
        storages[key] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        return [name, tensor(storage(key, data.length), 0, shape, stridesOf(shape))];
      }),
    );
  const { "": beside = {}, ...named } = entries;
  const dictionaries = Object.entries(named).map(([name, all]) => [name, dictionary(pickled(all))] as const);
  return torchFile(dictionary({ ...pickled(beside), ...Object.fromEntries(dictionaries), ...others }), storages);
}

let count = 0;
/** Imports bytes under a name; gives what happened, and the hash of the weights. */
async function importing(bytes: Uint8Array, name = "model.pt", ...more: string[]) {
  const out = at(`out-${count++}`);
  await writeFile(at(name), bytes);
  const outcome = await guidestar(["import", at(name), "--out", out, ...flags, ...more]);
  const hash = existsSync(join(out, "model.json")) ? (await loadModel(out)).denoiser!.sha256 : undefined;
  if (outcome.code !== 0) {
    expect(hash).toBeUndefined();
    expect(outcome.messages.trimEnd().split("\n").at(-1)).toMatch(/^guidestar: /);
  }
  return { ...outcome, hash };
}

const namespace = "cargparse\nNamespace\n)\x81}b";

describe("prefixes of names are found and said", () => {
  test.each([
    "model.",
    "diffusion_model.",
    "model.diffusion_model.",
    "module.net.",
    "net.module.model.",
    "_forward_module.ema_model.module.",
    "denoise_fn.",
    "my.own.wrapper.",
  ])("%s", async (prefix) => {
    const { code, messages, hash } = await importing(writeSafetensors(prefixed(prefix)), "p.safetensors");
    expect({ code, messages, hash }).toMatchObject({ code: 0, hash: plain });
    expect(messages).toContain(`note: names of tensors begin with "${prefix}", which is left out`);
  });

  test("tensors beside it, such as a schedule's, are left out aloud", async () => {
    const file = saved({ state_dict: { ...prefixed("model."), betas: float32([4]), "loss.w": float32([1]) } });
    const { messages, hash } = await importing(file, "lightning.ckpt");
    expect(hash).toBe(plain);
    expect(messages).toContain("2 tensors that don't are no part of the network: betas, loss.w");
  });
});

describe("of several networks one is taken, and never parts of two", () => {
  const half = times(0.5);
  test.each<[string, Uint8Array, string, string]>([
    ["model and ema", saved({ model: weights, ema: half }, { args: namespace }), "ema", "model"],
    ["model_ema first", saved({ model_ema: half, model: weights }), "model_ema", "model"],
    [
      "prefixes in one dictionary",
      saved({ state_dict: { ...prefixed("model.", weights), ...prefixed("ema_model.", half) } }),
      "state_dict.ema_model",
      "state_dict.model",
    ],
    [
      "an average that keeps both",
      saved({
        model: prefixed("model."),
        ema: { ...prefixed("online_model.model.", weights), ...prefixed("ema_model.model.", half) },
      }),
      "ema.ema_model.model",
      "ema.online_model",
    ],
    [
      "averages whose names have lost their dots, as those of latent diffusion",
      saved({
        state_dict: {
          ...prefixed("model.diffusion_model.", weights),
          ...Object.fromEntries(
            Object.entries(half).map(([name, value]) => [
              `model_ema.diffusion_model${name.replaceAll(".", "")}`,
              value,
            ]),
          ),
          "model_ema.decay": float32([], Float32Array.of(0.99)),
        },
      }),
      "state_dict.model_ema.diffusion_model",
      "state_dict.model.diffusion_model",
    ],
    ["an ema that stands beside the weights", saved({ "": weights, ema: half }), "ema", "the file itself"],
  ])("%s", async (_, bytes, taken, other) => {
    const first = await importing(bytes);
    const halved = await importing(writeSafetensors(half), "half.safetensors");
    expect(first).toMatchObject({ code: 0, hash: halved.hash });
    expect(first.messages).toContain(`"${taken}" is taken, the average of the weights`);
    if (other === "the file itself") return;
    const second = await importing(bytes, "model.pt", "--entry", other);
    expect(second).toMatchObject({ code: 0, hash: plain });
  });

  test("an entry that is not there", async () => {
    const { code, messages } = await importing(saved({ model: weights, ema: half }), "m.pt", "--entry", "best");
    expect(code).toBe(3);
    expect(messages).toContain('no entry "best" that is a network; there are: ema, model');
  });
});

test.each(["checkpoint.ckpt", "pytorch_model.bin", "model.pkl", "best.pth.tar", "weights", "wrong.safetensors"])(
  "what a file is its bytes tell, and not its name: %s",
  async (name) => {
    expect(await importing(saved({ model: weights }, { args: namespace }), name)).toMatchObject({
      code: 0,
      hash: plain,
    });
    expect(await importing(writeSafetensors(weights), name)).toMatchObject({ code: 0, hash: plain });
  },
);

test("kernels of 1x1 as matrices, of one dimension and of two: the same numbers, said in a note", async () => {
  for (const axes of [0, 1, 2]) {
    const changed = Object.fromEntries(
      Object.entries(weights).map(([name, { shape, data }]) => {
        const ones = shape.length > 2 && shape.slice(2).every((size) => size === 1);
        return [
          name,
          ones ? float32([shape[0]!, shape[1]!, ...Array<number>(axes).fill(1)], data) : float32(shape, data),
        ];
      }),
    );
    const { code, messages, hash } = await importing(writeSafetensors(changed), "kernels.safetensors");
    expect({ code, messages, hash }).toMatchObject({ code: 0, hash: plain });
    expect(messages).toMatch(/kernels of 1x1 with other axes, such as ".*"/);
  }
  // Another order of the elements is another kernel.
  const { shape, data: values } = weights["middle_block.1.qkv.weight"]!;
  const turned = { ...weights, "middle_block.1.qkv.weight": float32([shape[1]!, shape[0]!], values) };
  expect(await importing(writeSafetensors(turned), "turned.safetensors")).toMatchObject({ code: 3 });
});

describe("what cannot be imported is named, in one line", () => {
  const names = (...all: string[]): Weights => Object.fromEntries(all.map((name) => [name, float32([1])]));
  const { "input_blocks.0.0.weight": first, ...rest } = weights;
  const channels = (n: number): Weights => ({
    ...rest,
    "input_blocks.0.0.weight": float32([first!.shape[0]!, n, 3, 3]),
  });
  test.each<[string, Weights, string]>([
    ["latents", channels(4), "its images have 4 channels, and pictures have 1 or 3: with 4 it is a latent model"],
    ["latents of more channels", channels(16), "with 16 it is a latent model"],
    ["latents below a prefix", prefixed("model.diffusion_model.", channels(4)), "with 4 it is a latent model"],
    [
      "latents of three channels, with their autoencoder",
      { ...prefixed("model.diffusion_model."), ...names("first_stage_model.encoder.conv_in.weight") },
      "Stable Diffusion",
    ],
    [
      "an autoencoder",
      names("encoder.down.0.block.0.conv1.weight", "decoder.up.0.block.0.conv1.weight", "quant_conv.weight"),
      "an autoencoder",
    ],
    [
      "diffusers",
      names("conv_in.weight", "down_blocks.0.resnets.0.conv1.weight", "mid_block.resnets.0.conv1.weight"),
      "a network of diffusers (UNet2DModel",
    ],
    [
      "diffusers with texts",
      names("conv_in.weight", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"),
      "UNet2DConditionModel",
    ],
    ["DiT", names("x_embedder.proj.weight", "blocks.0.adaLN_modulation.1.weight"), "a transformer (DiT"],
    [
      "DDPM",
      names("temb.dense.0.weight", "down.0.block.0.conv1.weight", "conv_in.weight"),
      "a network of DDPM or DDIM",
    ],
    ["EDM", names("model.enc.64x64_conv.weight"), "a network of EDM"],
    [
      "lucidrains",
      names("model.init_conv.weight", "model.downs.0.0.block1.proj.weight"),
      "a network of denoising-diffusion-pytorch",
    ],
    [
      "averages without the weights that they are of",
      names("model_ema.diffusion_modeltime_embed0weight", "model_ema.diffusion_modelinput_blocks00weight"),
      "whose names have lost their dots",
    ],
    ["a LoRA", names("lora_unet_down_blocks_0.lora_up.weight"), "a LoRA"],
  ])("%s", async (_, tensors, message) => {
    for (const bytes of [writeSafetensors(tensors), saved({ state_dict: tensors })]) {
      const { code, messages } = await importing(bytes, "other.bin");
      expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(message) });
      expect(messages).toMatch(/^(note: .*\n)?guidestar: .*\n$/);
    }
  });

  const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
  const whole = saved({ model: weights });
  test.each<[string, Uint8Array, string]>([
    [
      "a git-lfs pointer",
      bytes("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
      "run `git lfs pull`",
    ],
    ["a web page", bytes("<!doctype html><html>"), "this is a web page"],
    ["nothing", new Uint8Array(0), "the file is empty"],
    ["gzip", gzipSync(whole.subarray(0, 1000)), "this is a gzip file"],
    ["half a download", whole.subarray(0, 100_000), "is the file truncated?"],
    ["half of safetensors", writeSafetensors(weights).subarray(0, 100_000), "is it truncated?"],
    ["three bytes", bytes("\x80\x02}"), "is the file whole?"],
    ["noise", bytes("\x01\x02nothing that is known"), "not a checkpoint"],
    ["a short text", bytes("Not Found"), "this is a short text"],
    ["a pickle in text", bytes("(dp0\nS'w'\np1\nI1\ns."), "this is a pickle in text (protocol 0)"],
    ["ONNX", bytes("\x08\x07\x12\x07pytorch:\x0a"), "this is an ONNX file"],
    ["an npz", zipSync({ "w.npy": new Uint8Array(9) }), "it is an npz of NumPy: write its arrays as safetensors"],
    ["a checkpoint in a zip", zipSync({ "best.pt": new Uint8Array(9) }), "it holds best.pt: unpack it first"],
    ["no tensors", writeSafetensors({}), "it holds no tensors"],
    [
      "tensors of something else",
      writeSafetensors(names("a", "b")),
      "its tensors are those of no network that is known: a, b;",
    ],
    ["a pickle", bytes("\x80\x04cnumpy\narray\n)R."), 'it holds "numpy.array"'],
    [
      "a pickled dictionary of NumPy's arrays",
      bytes("\x80\x04}X\x01\0\0\0wcnumpy.core.multiarray\n_reconstruct\n)Rs."),
      "it is of NumPy: write its arrays as safetensors",
    ],
  ])("%s", async (_, content, message) => {
    const { code, messages } = await importing(content, "odd.ckpt");
    expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(`odd.ckpt: `) });
    expect(messages).toContain(message);
    expect(messages).toMatch(/^(note: .*\n)?guidestar: .*\n$/);
  });
});

describe("a trained network is not replaced without --replace", () => {
  const trained = async (name: string) => {
    await writeFile(at("model.pt"), saved({ model: weights }));
    await guidestar(["import", at("model.pt"), "--out", at(name), ...flags]);
    const record = JSON.parse(await readFile(join(at(name), "model.json"), "utf8"));
    record.denoiser.training = { step: 5000 };
    await writeFile(join(at(name), "model.json"), JSON.stringify(record));
  };
  test("by import", async () => {
    await trained("run");
    const before = await readFile(join(at("run"), "model.json"), "utf8");
    const line = ["import", at("model.pt"), "--out", at("run"), ...flags];
    const { code, messages } = await guidestar(line);
    expect(code).toBe(2);
    expect(messages).toContain(
      `${at("run")} holds a denoiser that was trained for 5000 steps (denoiser.safetensors), and the import would replace it; choose ` +
        "another --out, or give --replace",
    );
    expect(await readFile(join(at("run"), "model.json"), "utf8")).toBe(before);
    const replaced = await guidestar([...line, "--replace"]);
    expect(replaced).toMatchObject({ code: 0, messages: expect.stringContaining("is replaced") });
    expect((await loadModel(at("run"))).denoiser!.training).toBeUndefined();
  });

  test("one that was imported can be imported again, and the note says so", async () => {
    const again = await guidestar(["import", data("unet_adm.pt"), "--out", at("plain"), ...flags]);
    expect(again).toMatchObject({
      code: 0,
      messages: expect.stringContaining(`note: the denoiser that was in ${at("plain")}`),
    });
  });
});
