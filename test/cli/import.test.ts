import { existsSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { arrayOf, readNpz } from "../../src/checkpoint/npz.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { readTorch } from "../../src/checkpoint/torch.ts";
import { encoderUnet } from "../../src/models/classifier.ts";
import { superResUnet } from "../../src/models/super-resolution.ts";
import { unet } from "../../src/models/unet.ts";
import { float32, int32, type NDArray } from "../../src/ndarray.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { Spec, trace } from "../../src/tensor/trace.ts";
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
      const { x, t, y, lowRes } = inputs as Record<string, Tensor>;
      if (model.classifier) return { out: encoderUnet(model.classifier.config)(parameters, x!, t!) };
      const { config } = model.denoiser!;
      return {
        out: lowRes ? superResUnet(config)(parameters, x!, t!, lowRes, y) : unet(config)(parameters, x!, t!, y),
      };
    });
    await using backend = await openBackend();
    await using program = await compile(graph, backend, { bind: { parameters: weights } });
    const { out } = await program.run({ inputs });
    const expected = floats(output);
    const error = expected.data.reduce((most, value, i) => Math.max(most, Math.abs(value - out.data[i]!)), 0);
    expect(error).toBeLessThan(1e-4 * expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  });
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
    variance: "learnedRange",
    rescaleTimesteps: true,
  });
  expect(model.denoiser!.config).toMatchObject({ ...configured.denoiser!.config });
  expect(model.denoiser!.sha256).toBe(configured.denoiser!.sha256);
  expect(model.classes).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
});

test("a classifier joins a denoiser, and other noise is refused where it is used", async () => {
  const config = (name: string) => ["--config", configOf(name)];
  expect((await importing(data("unet_adm.pt"), "both", ...config("unet_adm"))).code).toBe(0);
  const other = [...config("classifier_attention"), "--noise_schedule", "cosine"];
  expect((await importing(data("classifier_attention.pt"), "both", ...other)).code).toBe(0);
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
        bytes: readFileSync(fileURLToPath(new URL("../checkpoint/data/optimizer.pt", import.meta.url))),
      },
      "optimizer's state",
    ],
  ])("$name", async ({ name, bytes }, message) => {
    await writeFile(at(name), bytes);
    const { code, messages } = await importing(at(name), "nothing", "--config", configOf("unet_adm"));
    expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining(message) });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test("an unknown name in the configuration", async () => {
    const { kind, config } = references.unet_adm;
    await writeFile(at("odd.json"), JSON.stringify({ kind, config: { ...config, depth: 3 } }));
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", "--config", at("odd.json"));
    expect({ code, messages }).toMatchObject({ code: 3, messages: expect.stringContaining('no argument "depth"') });
    expect(existsSync(at("nothing"))).toBe(false);
  });

  test("heads must be said", async () => {
    const { code, messages } = await importing(data("unet_adm.pt"), "nothing", "--image_size", "16");
    expect({ code, messages }).toMatchObject({ code: 2, messages: expect.stringContaining("--num_heads") });
  });
});
