import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { labelsFor, openImagesFor } from "../../src/data/model-images.ts";
import { DataError } from "../../src/errors.ts";
import { folderOf, noise, plain, png } from "./make.ts";

const model = { source: "runs/a", imageShape: [1, 4, 4], preprocessing: {}, classes: ["cat", "dog", "fish"] } as const;
const uncached = { cache: false } as const;

describe("openImagesFor", () => {
  test("opens images as the model has them: grey, of the size of its training", async () => {
    const root = await folderOf({ "dog/1.png": await plain("#ff0000", 8), "cat/2.png": await plain("#0000ff", 8, 6) });
    const { imageShape, train, classes } = await openImagesFor(
      root,
      { ...model, preprocessing: { size: 4 } },
      uncached,
    );
    expect(imageShape).toEqual([1, 4, 4]);
    expect(classes).toEqual(["cat", "dog"]);
    expect([train.images[0], train.images[16]]).toEqual([29, 76]);
    const colour = { ...model, imageShape: [3, 2, 2] as const };
    expect((await openImagesFor(root, colour, { ...uncached, size: 2 })).imageShape).toEqual([3, 2, 2]);
  });

  test("opens a single picture of any name, and refuses another size", async () => {
    const root = await folderOf({ "a picture": await png(noise(16), 4, 4) });
    expect((await openImagesFor(join(root, "a picture"), model, uncached)).train.images).toEqual(noise(16));
    await writeFile(join(root, "large.png"), await png(noise(30), 6, 5));
    const opened = openImagesFor(join(root, "large.png"), model, uncached);
    await expect(opened).rejects.toThrow(
      /large.png: the images are 6x5 but runs\/a knows images of 4x4; give --size 4/,
    );
    await expect(opened).rejects.toBeInstanceOf(DataError);
  });
});

describe("labelsFor", () => {
  const labels = Int32Array.of(0, 2, 0);
  test("goes by names, or by numbers where the data has no others", () => {
    const folders = { path: "data", layout: "class folders", classes: ["dog", "horse", "cat"] } as const;
    const labelFor = labelsFor(folders, { labels }, model);
    expect([...labels].map(labelFor)).toEqual([1, 0, 1]);
    expect(
      [...labels].map(labelsFor({ ...folders, layout: "npz", classes: ["0", "1", "2"] }, { labels }, model)),
    ).toEqual([0, 2, 0]);
  });

  test("refuses images of another class, and images of none, and says what to do", async () => {
    const refused =
      (layout: "class folders" | "npz without labels" | "loose images", path = ".") =>
      () =>
        labelsFor({ path, layout, classes: ["dog", "", "horse"] }, { labels }, model, ", or give --class");
    expect(refused("class folders")).toThrow(
      /its class "horse" is none of the model's \(cat, dog, fish\); rename the folder, or give --class/,
    );
    expect(refused("npz without labels")).toThrow(/it has no labels, .*; add them as arr_1, or give --class/);
    expect(refused("loose images")).toThrow(/no class folders, .*; sort them into folders, or give --class/);
    const root = await folderOf({ "1.png": await plain("#fff") });
    expect(refused("loose images", join(root, "1.png"))).toThrow(/a picture tells no class, .*, or give --class/);
  });
});
