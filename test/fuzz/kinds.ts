import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { encodePng, readPngText } from "../../src/images/png.ts";
import { pngKeyword } from "../../src/sampling/run-spec.ts";
import { guidestar } from "../cli/world.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { archives, arrays, checkpoints, type Format, json, pictures, tables } from "./inputs.ts";

/** What is done with each case of a kind. */
export interface Kind {
  readonly formats: readonly Format[];
  /** Where cases are written. */
  readonly folder: string;
  /** Command lines that read a case; `out` is a folder for what they write. The second one only where the first one ended well. */
  commands(path: string, out: string): readonly (readonly string[])[];
  /** Whether a command may end with code 2: what it was asked for beside the file may not fit what the file now says. */
  readonly usage?: boolean;
}

const checked = (formats: readonly Format[], folder: string): Kind => ({
  formats,
  folder,
  commands: (path) => [["data", "check", path, "--json"]],
});

/** The tiny model as a folder, with settings of sampling in its record. */
async function modelIn(folder: string): Promise<string> {
  await saveModel(folder, { ...tinyModel(), sampling: { sampler: "ddim", steps: 2, eta: 0.5, cfgScale: 1.5 } });
  return folder;
}

async function weightsKind(folder: string): Promise<Kind> {
  const { denoiser } = tinyModel();
  const { kind, config } = denoiser.record;
  const described = join(folder, "network.json");
  await writeFile(described, JSON.stringify({ kind, config }));
  return {
    formats: checkpoints(denoiser.weights),
    folder,
    commands: (path, out) => [
      ["import", path, "--config", described, "--variance", "learned-range", "--out", join(out, "model")],
      ["info", join(out, "model"), "--json"],
    ],
  };
}

async function recordsKind(folder: string): Promise<Kind> {
  const model = await modelIn(join(folder, "model"));
  const record: unknown = JSON.parse(await readFile(join(model, "model.json"), "utf8"));
  return {
    formats: [json("model.json", [record])],
    folder: model,
    commands: (_, out) => [
      ["info", model, "--json"],
      ["sample", "--model", model, "--count", "1", "--steps", "2", "--threads", "1", "--out", join(out, "x.png")],
    ],
    usage: true,
  };
}

async function runsKind(folder: string): Promise<Kind> {
  const model = await modelIn(join(folder, "model"));
  const large = join(folder, "large");
  await saveModel(large, tinyUpsampler());
  const draw = async (name: string, ...options: string[]): Promise<unknown> => {
    const out = join(folder, name);
    const { code, messages } = await guidestar([
      "sample",
      "--model",
      model,
      "--threads",
      "1",
      "--out",
      out,
      ...options,
    ]);
    if (code !== 0) throw new Error(messages);
    return JSON.parse(readPngText(await readFile(out))[pngKeyword]!);
  };
  const specs = [
    await draw("a.png", "--count", "2", "--sampler", "ddpm", "--steps", "2", "--classifier-scale", "1.5"),
    await draw("b.png", "--count", "1", "--sampler", "heun", "--steps", "2", "--cfg-scale", "2"),
    await draw(
      "c.png",
      "--count",
      "1",
      "--steps",
      "2",
      "--upsampler",
      large,
      "--weak-model",
      model,
      "--autoguidance-scale",
      "2",
    ),
  ];
  const image = { width: 1, height: 1, channels: 1, data: Uint8Array.of(0) } as const;
  const png = (text: Uint8Array) => encodePng(image, { text: { [pngKeyword]: new TextDecoder().decode(text) } });
  return {
    formats: [json("x.png", specs, png)],
    folder,
    commands: (path, out) => [
      ["info", path, "--json"],
      ["sample", "--from", path, "--threads", "1", "--out", join(out, "y.png")],
    ],
  };
}

/** The kinds of files, each with what it needs in its folder. */
export const kinds: Readonly<Record<string, (folder: string) => Promise<Kind>>> = {
  pictures: async (folder) => checked(await pictures(), folder),
  zips: async (folder) => checked((await archives()).zips, folder),
  tars: async (folder) => checked((await archives()).tars, folder),
  tables: async (folder) => checked(await tables(), folder),
  arrays: async (folder) => checked(arrays(), folder),
  weights: weightsKind,
  "model.json": recordsKind,
  "records of runs": runsKind,
};
