import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { arrayOf, readNpz } from "../../src/formats/npz.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { encodePng, readPngText } from "../../src/images/png.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(async () => {
  await saveModel(at("small"), tinyModel());
  const large = tinyUpsampler();
  await saveModel(at("large"), { ...large, sampling: { sampler: "ddpm", steps: 3 } });
  const renamed = large.classes.map((name) => (name === "star" ? "heart" : name));
  await saveModel(at("hearts"), { ...large, classes: renamed });
});

const base = () => ["sample", "--model", at("small"), "--steps", "3", "--threads", "1"];
const cascade = (...more: string[]) => guidestar([...base(), "--upsampler", at("large"), ...more]);
const specOf = async (path: string) => JSON.parse(readPngText(await readFile(path)).guidestar!);
const pixelsOf = async (path: string) => arrayOf(readNpz(await readFile(path)), "arr_0", "uint8");

describe("sample --upsampler", () => {
  test("draws with one model, enlarges with the other, and draws the same again from the picture", async () => {
    const drawn = await cascade(
      ...["--class", "star,circle", "--count", "3", "--sampler", "ddpm", "--classifier-scale", "1.5", "--json"],
      ...["--out", at("a.png"), "--npz", at("a.npz"), "--gif", at("a.gif")],
    );
    expect(drawn).toMatchObject({
      code: 0,
      messages: expect.stringContaining(`enlarged by ${at("large")}, ddpm, 3 steps`),
    });
    expect((await pixelsOf(at("a.npz"))).shape).toEqual([3, 16, 16, 1]);
    const [sheet, frame] = await Promise.all(
      ["a.png", "a.gif"].map(async (name) => decodeImage(await readFile(at(name)))),
    );
    expect([frame!.width, frame!.height]).toEqual([sheet!.width, sheet!.height]);
    const spec = await specOf(at("a.png"));
    expect(JSON.parse(drawn.out).run).toEqual(spec);
    const hash = JSON.parse(await readFile(at("large", "model.json"), "utf8")).denoiser.sha256;
    expect(spec).toMatchObject({
      model: { name: at("small") },
      labels: [2, 0, 2],
      guidance: { classifierScale: 1.5, cfgScale: 2 },
      upsampler: {
        name: at("large"),
        denoiser: hash,
        sampler: { kind: "ddpm", steps: 3 },
        guidance: { classifierScale: 0, cfgScale: 1 },
      },
    });

    const again = await guidestar(["sample", "--from", at("a.png"), "--out", at("b.png")]);
    expect(again.code).toBe(0);
    expect(await sameBytes(at("a.png"), at("b.png"))).toBe(true);
    const told = await guidestar(["info", at("a.png")]);
    expect(told.out).toContain(`upsampler ${at("large")} (denoiser ${hash.slice(0, 12)}), ddpm, 3 steps`);
  });

  test("takes its own sampler and steps", async () => {
    const ddim = ["--upsampler-sampler", "ddim", "--upsampler-steps", "4,2"];
    await cascade("--count", "1", ...ddim, "--out", at("own.png"));
    expect((await specOf(at("own.png"))).upsampler.sampler).toEqual({
      kind: "ddim",
      steps: "4,2",
      levels: "chain",
      eta: 0,
    });
    await cascade("--count", "1", ...ddim, "--upsampler-eta", "0.5", "--out", at("random.png"));
    expect((await specOf(at("random.png"))).upsampler.sampler).toEqual({
      kind: "ddim",
      steps: "4,2",
      levels: "chain",
      eta: 0.5,
    });
    expect(await sameBytes(at("own.png"), at("random.png"))).toBe(false);
    const refused = await cascade("--upsampler-eta", "0.5", "--out", at("none.png"));
    expect(refused).toMatchObject({
      code: 2,
      messages: expect.stringMatching(/--upsampler-eta belongs to ddim.* sampler is ddpm; .* --upsampler-sampler/),
    });
  });

  test("enlarges what was made from a picture or from latents, and draws it again", async () => {
    const data = Uint8Array.from({ length: 64 }, (_, i) => (i * 29) % 256);
    await writeFile(at("picture.png"), encodePng({ width: 8, height: 8, channels: 1, data }));
    const init = ["--init", at("picture.png"), "--strength", "0.7", "--count", "2", "--class", "star"];
    expect(await cascade(...init, "--out", at("init.png"), "--npz", at("init.npz"))).toMatchObject({ code: 0 });
    expect((await pixelsOf(at("init.npz"))).shape).toEqual([2, 16, 16, 1]);
    const encode = ["encode", at("picture.png"), "--model", at("small"), "--class", "star", "--steps", "4"];
    expect((await guidestar([...encode, "--out", at("latents.npz")])).code).toBe(0);
    const latents = ["sample", "--from-latents", at("latents.npz"), "--upsampler", at("large")];
    expect((await guidestar([...latents, "--out", at("decoded.png"), "--npz", at("decoded.npz")])).code).toBe(0);
    expect((await pixelsOf(at("decoded.npz"))).shape).toEqual([1, 16, 16, 1]);
    for (const name of ["init", "decoded"]) {
      expect(await specOf(at(`${name}.png`))).toHaveProperty("input.kind", name === "init" ? "picture" : "latents");
      expect((await guidestar(["sample", "--from", at(`${name}.png`), "--out", at("redrawn.png")])).code).toBe(0);
      expect(await sameBytes(at(`${name}.png`), at("redrawn.png"))).toBe(true);
    }
  });

  test("info says what an upsampler enlarges", async () => {
    expect((await guidestar(["info", at("large")])).out).toMatch(/^upsampler {3}from 8x8; /m);
  });

  test("leaves --from of a picture without one as it was", async () => {
    await guidestar([...base(), "--count", "1", "--out", at("plain.png")]);
    expect(await specOf(at("plain.png"))).not.toHaveProperty("upsampler");
    const refused = await guidestar([
      ...["sample", "--from", at("plain.png"), "--upsampler", at("large"), "--out", at("none.png")],
    ]);
    expect(refused).toMatchObject({ code: 2, messages: expect.stringContaining("was drawn without one") });
  });
});

test.each<[string, () => string[], number, RegExp]>([
  ["an upsampler that is none", () => ["--upsampler", at("small")], 3, /is no upsampler/],
  ["an upsampler that is not there", () => ["--upsampler", at("nothing")], 3, /there is no such model/],
  ["an upsampler of other pictures", () => ["--model", at("large")], 3, /enlarges pictures \[1, 8, 8\].*\[1, 16, 16\]/],
  ["an upsampler of other classes", () => ["--upsampler", at("hearts")], 3, /class 2 is "heart", but "star"/],
  ["more steps than the upsampler has", () => ["--upsampler-steps", "26"], 2, /steps must be .* from 1 to 25/],
  ["steps that are none", () => ["--upsampler-steps", "foo"], 2, /respacing: expected .* but got "foo"/],
  ["a stride that is none", () => ["--upsampler-steps", "ddim12"], 2, /gives exactly 12; use ddim13 or ddim9/],
  ["sections of too many steps", () => ["--upsampler-steps", "4,20"], 2, /a section of 12 steps cannot give 20/],
])("refuses before it draws: %s", async (_, more, code, message) => {
  const { messages, ...outcome } = await cascade("--out", at("refused.png"), ...more());
  expect(messages).toMatch(message);
  expect(messages).toMatch(/^guidestar: .*\n$/);
  expect(outcome).toEqual({ code, out: "" });
  expect(existsSync(at("refused.png"))).toBe(false);
});

test.each<[string, () => string[], number, RegExp]>([
  ["its options without it", () => ["--upsampler-steps", "3"], 2, /--upsampler-steps: .* give --upsampler/],
  ["an upsampler alone", () => ["--model", at("large")], 2, /large is an upsampler: it enlarges .* \[3, 1, 8, 8\]/],
])("refuses %s", async (_, more, code, message) => {
  const { messages, ...outcome } = await guidestar([...base(), "--out", at("refused.png"), ...more()]);
  expect(messages).toMatch(message);
  expect(outcome).toEqual({ code, out: "" });
});
