import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { commands } from "../../src/cli/program.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(async () => {
  await writeImages(at("images"), 12);
  await writeFile(at("images", "dark", "broken.png"), "no picture");
  await saveModel(at("model"), tinyModel());
});

describe("help", () => {
  test.each([[[]], [["train"]], [["data"]], ...commands.map(({ definition }) => [definition.name.split(" ")])])(
    "%s leads with examples",
    async (words) => {
      const { code, out, messages } = await guidestar([...words, "--help"]);
      expect({ code, messages }).toEqual({ code: 0, messages: "" });
      expect(out).toMatch(/^Examples:\n {2}guidestar /);
      expect(out).toContain("Usage: guidestar");
    },
  );

  test("stays within the terminal, but for examples, which are to be copied", async () => {
    for (const { definition } of commands)
      for (const columns of [undefined, 100]) {
        const { out, messages } = await guidestar(
          [...definition.name.split(" "), "--help"],
          columns ? { columns } : {},
        );
        const lines = `${out}${messages}`.split("Usage:")[1]!.split("\n");
        expect(lines.filter((line) => line.length > (columns ?? 80))).toEqual([]);
      }
  });

  test("names every option with its default", async () => {
    const { out } = await guidestar(["sample", "--help"]);
    const text = out.replaceAll(/\s+/g, " ");
    expect(text).toContain(
      "--classifier-scale <x> classifier guidance; 0 is off (default: the model's, else 0; 2 with --unconditional)",
    );
    expect(text).toContain("w = s - 1");
    expect(text).toContain("--seed <n>");
  });

  test("examples use only options that exist", async () => {
    for (const { definition } of commands)
      for (const example of definition.examples) {
        const command = example.split("#")[0]!;
        const owner = commands.find(({ definition }) => command.startsWith(`guidestar ${definition.name}`))!;
        const keys = [...command.matchAll(/--([a-z-]+)/g)].map(([, flag]) =>
          flag!.replace(/-([a-z])/g, (_, c) => c.toUpperCase()),
        );
        expect(Object.keys(owner.definition.options)).toEqual(expect.arrayContaining(keys));
      }
  });

  test("a mistyped command or option is suggested", async () => {
    const wrong = await guidestar(["smaple"]);
    expect(wrong).toMatchObject({ code: 2, out: "" });
    expect(wrong.messages).toMatch(/unknown command 'smaple'.*Did you mean sample/s);
    expect((await guidestar(["sample", "--clas", "3"])).messages).toMatch(/Did you mean --class/);
  });
});

describe("an earlier name of an option", () => {
  test("is the option, and is not in the help", async () => {
    for (const command of ["sample", "sweep"]) {
      const { out } = await guidestar([command, "--help"]);
      expect(out).toContain("--batch-size <n>");
      expect(out).not.toContain("--batch <n>");
      const wrong = await guidestar([command, "--out", at("none.png"), "--batch", "none"]);
      expect(wrong).toMatchObject({ code: 2, messages: expect.stringContaining("--batch must be a whole number") });
    }
    const { messages } = await guidestar(["sample", "--from", at("none.png"), "--batch", "3"]);
    expect(messages).toContain("so --batch-size cannot be given with it");
  });
});

describe("data check", () => {
  test("counts classes and lists what cannot be read", async () => {
    const { code, out } = await guidestar(["data", "check", at("images")]);
    expect(code).toBe(0);
    expect(out).toMatch(/24 images of 2 classes, 8x8, grey/);
    expect(out).toMatch(/dark +12 +0\nlight +12 +0/);
    expect(out).toMatch(/skipped: 1\n.*broken\.png/);
    const { out: json } = await guidestar(["data", "check", at("images"), "--json"]);
    expect(JSON.parse(json)).toMatchObject({
      train: 24,
      classes: [
        { name: "dark", train: 12 },
        { name: "light", train: 12 },
      ],
    });
  });

  test("fails on unreadable files where that is asked for, and where nothing is there", async () => {
    expect(await guidestar(["data", "check", at("images"), "--strict"])).toMatchObject({ code: 3, out: "" });
    expect((await guidestar(["data", "check", at("nowhere")])).code).toBe(3);
    expect((await guidestar(["data", "check"])).code).toBe(2);
  });
});

describe("info", () => {
  test("says what a model is", async () => {
    const { code, out } = await guidestar(["info", at("model")]);
    expect(code).toBe(0);
    expect(out).toMatch(/images +8x8, grey\nclasses +3: circle, square, star/);
    expect(out).toMatch(/denoiser +adm-unet, [\d,]+ parameters .*cosine schedule, T = 20/);
    const { out: json } = await guidestar(["info", at("model"), "--json"]);
    expect(JSON.parse(json)).toMatchObject({ classes: ["circle", "square", "star"], imageShape: [1, 8, 8] });
  });

  test("says how a picture was drawn", async () => {
    await guidestar([
      "sample",
      "--model",
      at("model"),
      "--steps",
      "2",
      "--count",
      "1",
      "--out",
      at("picture.png"),
      "--threads",
      "1",
    ]);
    const { out } = await guidestar(["info", at("picture.png")]);
    expect(out).toMatch(/sampler +dpm\+\+2m, 2 steps, levels karras, on cpu\nguidance +classifier-free 2/);
  });

  test("finds what is damaged", async () => {
    await saveModel(at("damaged"), tinyModel());
    await writeFile(at("damaged", "denoiser.safetensors"), "x");
    expect(await guidestar(["info", at("damaged")])).toMatchObject({ code: 3, out: "" });
  });
});

describe("the program in a process of its own", () => {
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const run = (...argv: string[]) => promisify(execFile)(process.execPath, ["--import", "tsx", main, ...argv]);

  test("doctor runs a program on this machine", async () => {
    const { stdout } = await run("doctor", "--json");
    const findings = Object.fromEntries(JSON.parse(stdout).map((finding: { name: string }) => [finding.name, finding]));
    expect(findings.cpu).toMatchObject({ state: "ok" });
    expect(findings.node.detail).toContain(process.versions.node);
  });

  test("ends with the code of its error; --verbose shows where it came from", async () => {
    await expect(run("info", "nothing")).rejects.toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringMatching(/^guidestar: nothing: .*\n$/),
    });
    await expect(run("info", "nothing", "--verbose")).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/\n {4}at /),
    });
  });
});
