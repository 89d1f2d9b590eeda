import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  checkpointFolder,
  classifierRecipe,
  type Dataset,
  denoiserRecipe,
  loadModel,
  openBackend,
  openDataset,
  saveModel,
  trainClassifier,
  trainDenoiser,
  trained,
  UsageError,
} from "../../src/index.ts";
import { parameterShapes } from "../../src/nn/module.ts";
import { flowProcess } from "../../src/public/diffusion.ts";
import { guidestar, sameBytes, temporaryFolder, writeImages } from "../cli/world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const small = { preset: "tiny", steps: 3, batchSize: 4 } as const;
let dataset: Dataset;
beforeAll(async () => {
  await writeImages(at("images"));
  dataset = await openDataset(at("images"), { size: 8 });
});

test("images to a model in a few lines: the one that the command line trains", { timeout: 60_000 }, async () => {
  await using backend = await openBackend({ threads: 1 });
  const denoiser = denoiserRecipe({ dataset, ...small });
  await saveModel(at("own"), denoiser.model(await trained(trainDenoiser({ ...denoiser.training, backend }))));
  const { process } = (await loadModel(at("own"))).denoiser!;
  const classifier = classifierRecipe({ dataset, ...small, process });
  await saveModel(at("own"), classifier.model(await trained(trainClassifier({ ...classifier.training, backend }))));

  for (const network of ["denoiser", "classifier"]) {
    const options = ["--preset", "tiny", "--steps", "3", "--batch-size", "4", "--size", "8", "--threads", "1"];
    const { code } = await guidestar(["train", network, "--data", at("images"), "--out", at("line"), ...options]);
    expect(code).toBe(0);
    expect(await sameBytes(at("own", `${network}.safetensors`), at("line", `${network}.safetensors`))).toBe(true);
  }
  const described = async (name: string) => {
    const { source: _, weights: __, denoiser, classifier, ...data } = await loadModel(at(name));
    return { ...data, denoiser: { ...denoiser, training: {} }, classifier: { ...classifier, training: {} } };
  };
  expect(await described("own")).toEqual(await described("line"));
  expect((await described("own")).preprocessing).toEqual({ size: 8 });
});

describe("what is not asked for", () => {
  test("follows from the process", () => {
    expect(denoiserRecipe({ dataset }).training).toMatchObject({
      ...{ loss: "hybrid", timesteps: "uniform", steps: 20_000, warmUpSteps: 200, microBatch: 16, labelDropout: 0.1 },
      process: { schedule: "cosine", steps: 1000, prediction: "eps", variance: "learned-range" },
    });
    const flow = denoiserRecipe({ dataset, process: flowProcess(), steps: 100, preset: "base" });
    expect(flow.training).toMatchObject({ loss: "simple", warmUpSteps: 10, microBatch: 4 });
    expect(classifierRecipe({ dataset }).training).toMatchObject({ steps: 6000, weightDecay: 0.05 });
  });

  test("a share of the images is held out where there are enough of them, and none for testing", () => {
    const drawn = (count: number): Dataset["train"] => ({
      ...{ count, shape: [1, 8, 8], labels: Int32Array.from({ length: count }, (_, i) => i % 2) },
      images: Uint8Array.from({ length: 64 * count }, (_, i) => (i % 64 === 0 ? (i / 64) % 251 : (i * 7919) >> 8)),
    });
    const many = { ...dataset, train: drawn(240) };
    for (const recipe of [denoiserRecipe, classifierRecipe]) {
      const { images: parts, settled, training } = recipe({ dataset: many, ...small });
      const held = parts.test!.count;
      expect(held).toBeGreaterThan(1);
      expect(held + parts.train.count).toBe(240);
      expect(settled.heldOut).toBe(0.05);
      expect(training.heldOut!.reduce((sum, { x }) => sum + x.shape[0]!, 0)).toBe(held);
      const asked = recipe({ dataset: many, ...small, heldOut: 0.5 });
      expect(Math.abs(asked.images.test!.count - 120)).toBeLessThan(32);
      for (const { images, training } of [
        recipe({ dataset: many, ...small, heldOut: 0 }),
        recipe({ dataset: { ...dataset, train: drawn(199) }, ...small }),
      ]) {
        expect(images.test).toBeUndefined();
        expect(training.heldOut).toBeUndefined();
      }
      const tested = recipe({ dataset: { ...many, test: drawn(7) }, ...small });
      expect(tested.images).toMatchObject({ train: { count: 240 }, test: { count: 7 } });
      expect(tested.settled.heldOut).toBe(0);
      expect(() => recipe({ dataset: { ...many, test: drawn(7) }, heldOut: 0.1 })).toThrow(/these have 7, which are/);
      expect(() => recipe({ dataset: many, heldOut: 1 })).toThrow(UsageError);
    }
  });

  test("of changed images the network is told, in any family that can be", () => {
    for (const family of ["adm-unet", "pixel-transformer"]) {
      const { model, training, network } = denoiserRecipe({
        dataset,
        family,
        preset: "tiny",
        augment: 0.2,
        immiscible: true,
      });
      expect(training).toMatchObject({ augment: 0.2, immiscible: true });
      const { denoiser } = model({}, {});
      expect(denoiser!.record).toMatchObject({ kind: family, config: { augmentSize: 6 } });
      expect(Object.keys(parameterShapes(network)).some((key) => /^a(ugment_emb|_embedder)\.weight$/.test(key))).toBe(
        true,
      );
      expect(
        denoiserRecipe({ dataset, family, preset: "tiny" }).model({}, {}).denoiser!.record.config,
      ).not.toHaveProperty("augmentSize");
    }
  });

  test("presets of patches are sizes of both networks", () => {
    const preset = "patch-small";
    expect(denoiserRecipe({ dataset, preset }).model({}, {}).denoiser!.record.config).toHaveProperty("patchSize", 2);
    expect(classifierRecipe({ dataset, preset }).model({}, {}).classifier!.record.config).toHaveProperty(
      "patchSize",
      2,
    );
  });

  test("is refused where it cannot be had", () => {
    expect(() => denoiserRecipe({ dataset, preset: "huge" })).toThrow(UsageError);
    expect(() => denoiserRecipe({ dataset, preset: "huge" })).toThrow(/preset must be one of tiny, small, deep, base/);
    expect(() => denoiserRecipe({ dataset, family: "adm-classifier" })).toThrow(/a family of classifiers/);
    expect(() => classifierRecipe({ dataset, family: "none" })).toThrow(/family is "none", but only/);
    expect(() => denoiserRecipe({ dataset, process: { ...flowProcess(), prediction: "v" } })).toThrow(/flow schedule/);
  });
});

test("a recipe's training is resumed as any other", { timeout: 60_000 }, async () => {
  await using backend = await openBackend({ threads: 1 });
  const store = checkpointFolder(at("checkpoints"));
  const run = (steps: number) =>
    trained(
      trainDenoiser({
        ...denoiserRecipe({ dataset, ...small, steps, warmUpSteps: 0, decay: "none" }).training,
        backend,
        store,
      }),
    );
  await run(2);
  const events = trainDenoiser({ ...denoiserRecipe({ dataset, ...small }).training, backend, store });
  expect((await events.next()).value).toMatchObject({ kind: "start", step: 2 });
  await events.return();
});
