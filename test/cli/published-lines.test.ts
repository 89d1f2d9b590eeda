import { describe, expect, test } from "vitest";
import { type ImportValues, importCheckpoint } from "../../src/cli/import/command.ts";
import { describedNetwork, networkFor } from "../../src/cli/import/network.ts";
import { networkOf } from "../../src/models/adm/network.ts";
import { publishedNetworks } from "../../src/models/adm/published.ts";
import { parameterShapes } from "../../src/nn/module.ts";

/*
 * The command lines that the README of openai/guided-diffusion gives for its published weights: MODEL_FLAGS, what it adds for
 * classifier_sample.py, super_res_sample.py and image_sample.py, and SAMPLE_FLAGS.
 */

const adm = (size: number, rest: string) =>
  `--attention_resolutions 32,16,8 --diffusion_steps 1000 --image_size ${size} --learn_sigma True --num_res_blocks 2 ` +
  `--noise_schedule linear --num_channels 256 --resblock_updown True --use_fp16 True --use_scale_shift_norm True ${rest}`;
const modelFlags = {
  "adm-64":
    "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --dropout 0.1 --image_size 64 --learn_sigma True " +
    "--noise_schedule cosine --num_channels 192 --num_head_channels 64 --num_res_blocks 3 --resblock_updown True " +
    "--use_new_attention_order True --use_fp16 True --use_scale_shift_norm True",
  "adm-128": adm(128, "--class_cond True --num_heads 4"),
  "adm-256": adm(256, "--class_cond True --num_head_channels 64"),
  "adm-256-unconditional": adm(256, "--class_cond False --num_head_channels 64"),
  "adm-512": adm(512, "--class_cond True --num_head_channels 64"),
  "adm-256-upsampler":
    "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --large_size 256 --small_size 64 " +
    "--learn_sigma True --noise_schedule linear --num_channels 192 --num_heads 4 --num_res_blocks 2 --resblock_updown True " +
    "--use_fp16 True --use_scale_shift_norm True --model_path models/64_256_upsampler.pt --base_samples 64_samples.npz",
  "adm-512-upsampler":
    "--attention_resolutions 32,16 --class_cond True --diffusion_steps 1000 --large_size 512 --small_size 128 " +
    "--learn_sigma True --noise_schedule linear --num_channels 192 --num_head_channels 64 --num_res_blocks 2 " +
    "--resblock_updown True --use_fp16 True --use_scale_shift_norm True --model_path models/128_512_upsampler.pt",
};
const guided = (size: 64 | 128 | 256 | 512, scale: string) =>
  `${modelFlags[`adm-${size}`]} --classifier_scale ${scale} --classifier_path models/${size}x${size}_classifier.pt ` +
  `${size === 64 ? "--classifier_depth 4 " : ""}--model_path models/${size}x${size}_diffusion.pt`;
const lines: [keyof typeof publishedNetworks, string][] = [
  ...(Object.entries(modelFlags) as [keyof typeof modelFlags, string][]),
  ...([64, 128, 256, 512] as const).flatMap((size): [keyof typeof publishedNetworks, string][] => {
    const line = guided(size, { 64: "1.0", 128: "0.5", 256: "1.0", 512: "4.0" }[size]);
    return [
      [`adm-${size}`, line],
      [`adm-${size}-classifier`, line],
    ];
  }),
];

const valuesOf = (line: string): ImportValues => {
  const words = `${line} --batch_size 4 --num_samples 100 --timestep_respacing 250`.split(" ");
  const given = Object.fromEntries(
    words.flatMap((word, i) => (word.startsWith("--") ? [[word.slice(2), words[i + 1]!]] : [])),
  );
  return Object.fromEntries(
    Object.entries(importCheckpoint.options).map(([name, option]) => {
      const text = given[name];
      return [name, text === undefined ? undefined : option.parse(text, `--${name}`)];
    }),
  ) as ImportValues;
};

describe("published weights by the command lines they were published with", () => {
  test.each(lines)("%s: %s", async (name, line) => {
    const published = publishedNetworks[name];
    const shapes = parameterShapes(networkOf(published));
    const network = async (more: string) => {
      const values = valuesOf(line + more);
      return networkFor(values, await describedNetwork(values), shapes, "f.pt", () => undefined);
    };
    const expected = { kind: published.kind, config: { convResample: true, ...published.config } };
    expect(await network("")).toEqual(expected);
    expect(await network(` --preset ${name}`)).toEqual(published);
  });
});
