import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { readPngText } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);
const { classifier, denoiser, ...facts } = tinyModel();
/** The denoiser with another number at each place. */
const weaker = {
  ...denoiser,
  weights: Object.fromEntries(
    Object.entries(denoiser.weights).map(([key, array]) => [key, { ...array, data: array.data.map((v) => 0.9 * v) }]),
  ),
};
const sample = (...more: string[]) =>
  guidestar(["sample", "--model", at("model"), "--steps", "4", "--threads", "1", "--count", "2", ...more]);
const specOf = async (name: string) => JSON.parse(readPngText(await readFile(at(name))).guidestar!);

beforeAll(async () => {
  await saveModel(at("model"), { ...facts, denoiser, classifier });
  await saveModel(at("weak"), { ...facts, denoiser: weaker });
  await sample("--cfg-scale", "3", "--out", at("plain.png"));
});

describe("options of guidance", () => {
  const ways: [string, string[], object][] = [
    [
      "interval",
      ["--cfg-scale", "3", "--classifier-scale", "1", "--guidance-interval", "0.3:2"],
      { cfgScale: 3, classifierScale: 1, guidanceInterval: [0.3, 2] },
    ],
    [
      "apg",
      [
        "--cfg-scale",
        "3",
        "--apg-momentum",
        "-0.5",
        "--apg-threshold",
        "2",
        "--cfg-rescale",
        "0.5",
        "--guidance-schedule",
        "0,1,2",
      ],
      { apgEta: 0, apgThreshold: 2, apgMomentum: -0.5, cfgRescale: 0.5, guidanceSchedule: [0, 1, 2] },
    ],
    ["plus-plus", ["--cfg-plus-plus"], { cfgScale: 0.6, cfgPlusPlus: true }],
    [
      "weak",
      ["--weak-model", "weak", "--guidance-schedule", "cosine"],
      { cfgScale: 1, autoguidanceScale: 2, guidanceSchedule: "cosine" },
    ],
  ];
  test.each(ways)("are recorded, and --from draws the same bytes: %s", async (name, options, guidance) => {
    const given = options.map((option) => (option === "weak" ? at("weak") : option));
    const { code, messages } = await sample(...given, "--out", at(`${name}.png`));
    expect(code, messages).toBe(0);
    const spec = await specOf(`${name}.png`);
    expect(spec.guidance).toMatchObject(guidance);
    expect(spec.weakModel?.name).toBe(name === "weak" ? at("weak") : undefined);
    expect((await guidestar(["sample", "--from", at(`${name}.png`), "--out", at("again.png")])).code).toBe(0);
    expect(await sameBytes(at(`${name}.png`), at("again.png"))).toBe(true);
    expect(await sameBytes(at(`${name}.png`), at("plain.png"))).toBe(false);
  });

  test("are said before drawing", async () => {
    const { messages } = await sample(
      "--cfg-scale",
      "3",
      "--guidance-interval",
      "0.3:2",
      "--apg-eta",
      "0.5",
      "--out",
      at("x.png"),
    );
    expect(messages).toContain("classifier-free 3, projected, eta 0.5, threshold 0, momentum 0, in noise 0.3 to 2");
  });

  test.each([
    [["--guidance-interval", "2"], /--guidance-interval must be two finite noise levels, as 0.2:5, .* but is "2"/],
    [["--guidance-interval", "5:2"], /0 <= low < high/],
    [
      ["--guidance-schedule", "up"],
      /--guidance-schedule must be constant, linear, cosine or a list of .* factor.* as 0,1,2, but is "up"/,
    ],
    [["--autoguidance-scale", "2"], /needs a weak model to lead away from, but none was given; give one/],
    [["--cfg-plus-plus", "--sampler", "ddpm"], /CFG\+\+ changes the step of ddim/],
    [["--cfg-plus-plus", "--cfg-scale", "4"], /from 0 \(no class\) to 1 but it is 4/],
    [["--cfg-rescale", "2"], /--cfg-rescale must be a number from 0 to 1/],
    [["--unconditional", "--apg-eta", "0"], /both are off here/],
  ] as [string[], RegExp][])("that make no sense are refused: %j", async (options, message) => {
    const { code, messages } = await sample(...options, "--out", at("none.png"));
    expect(messages).toMatch(message);
    expect(code).toBe(2);
  });

  test("are the model's own where none are given; what it asks for and cannot have is left out", async () => {
    const sampling = {
      unconditional: true,
      cfgRescale: 0.5,
      threshold: 99,
      gradientAt: "mean",
      guidanceInterval: [0.3, 2],
    };
    await saveModel(at("own"), { ...facts, denoiser, classifier, sampling });
    const drawn = async (...more: string[]) => {
      expect(await sample("--model", at("own"), ...more, "--out", at("own.png"))).toMatchObject({ code: 0 });
      return (await specOf("own.png")).guidance;
    };
    const own = { unconditional: true, classifierScale: 2, threshold: 99, guidanceInterval: [0.3, 2] };
    // There is nothing to rescale, and only ddpm has a mean.
    expect(await drawn()).toMatchObject({ ...own, cfgScale: 1, cfgRescale: 0, gradientAt: "x_t" });
    expect(await drawn("--sampler", "ddpm")).toMatchObject({ ...own, gradientAt: "mean" });
    expect(await drawn("--no-unconditional", "--threshold", "50")).toMatchObject({
      ...{ unconditional: false, cfgScale: 2, cfgRescale: 0.5, classifierScale: 0, threshold: 50 },
      guidanceInterval: [0.3, 2],
    });
    const { out } = await guidestar(["info", at("own")]);
    expect(out).toMatch(/sampling .*no class for the denoiser, thresholded at 99, classifier 2, in noise 0.3 to 2/);
  });

  test("a weak model that is another one now, or that the record has not, is refused", async () => {
    const other = await guidestar([
      "sample",
      "--from",
      at("weak.png"),
      "--weak-model",
      at("model"),
      "--out",
      at("o.png"),
    ]);
    expect([other.code, other.messages]).toEqual([3, expect.stringMatching(/guided by other weights/)]);
    const none = await guidestar([
      "sample",
      "--from",
      at("plain.png"),
      "--weak-model",
      at("weak"),
      "--out",
      at("o.png"),
    ]);
    expect([none.code, none.messages]).toEqual([2, expect.stringMatching(/was drawn without one/)]);
  });
});
