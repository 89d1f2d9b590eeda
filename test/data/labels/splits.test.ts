import { describe, expect, test } from "vitest";
import { openDataset } from "../../../src/data/dataset.ts";
import { DataError } from "../../../src/errors.ts";
import { folderOf, plain } from "../make.ts";

const open = async (paths: readonly string[], options = {}) => {
  const image = await plain("#777");
  return openDataset(await folderOf(Object.fromEntries(paths.map((path) => [path, image]))), {
    cache: false,
    ...options,
  });
};
/** Classes of the images of both splits. */
const found = async (paths: readonly string[], options = {}) => {
  const { classes, train, test } = await open(paths, options);
  const names = (labels: Int32Array | undefined) => labels && Array.from(labels, (label) => classes[label]).join(" ");
  return [names(train.labels), names(test?.labels)];
};

describe("splits", () => {
  test.each<[string, string[], string, string | undefined]>([
    ["training and testing", ["Training/a/1.png", "Testing/b/1.png"], "a", "b"],
    ["valid, without test", ["train/a/1.png", "valid/a/2.png"], "a", "a"],
    ["dev, without test", ["train/a/1.png", "dev/a/2.png"], "a", "a"],
    ["a year behind", ["train2017/a/1.png", "val2017/a/2.png"], "a", "a"],
    ["set behind", ["training_set/a/1.png", "test_set/b/2.png"], "a", "b"],
    ["val alone", ["val/a/1.png", "val/b/1.png"], "a b", undefined],
    ["test alone, wrapped", ["photos/test/a/1.png", "photos/test/b/1.png"], "a b", undefined],
    ["val alone, wrapped, with one class and a preview", ["photos/val/a/1.png", "photos/look.png"], "a", undefined],
    ["val and test without train", ["val/a/1.png", "test/b/1.png"], "a", "b"],
    ["inside of classes", ["a/train/1.png", "a/test/2.png", "b/train/3.png"], "a b", "a"],
    ["val alone, inside of classes", ["a/val/1.png", "b/val/3.png"], "a b", undefined],
    ["images/ in between", ["train/images/a/1.png", "train/images/b/1.png", "val/images/b/2.png"], "a b", "b"],
    ["images/ above", ["images/train/a/1.png", "images/val/b/2.png"], "a", "b"],
    ["images/ below classes", ["train/n01/images/1.png", "train/n02/images/2.png"], "n01 n02", undefined],
    ["the split's name again", ["training_set/training_set/a/1.png", "test_set/test_set/b/2.png"], "a", "b"],
    ["in capitals", ["TRAIN/a/1.png", "TEST/a/2.png"], "a", "a"],
  ])("%s", async (_, paths, train, held) => {
    expect(await found(paths)).toEqual([train, held]);
  });

  test("that are not as usual are said", async () => {
    const notes = async (paths: string[]) => (await open(paths)).notes;
    expect(await notes(["train/a/1.png", "Val/a/2.png"])).toEqual(["Val/ is held out, as the test images"]);
    expect(await notes(["validation/a/2.png"])).toEqual([
      "there is no train/: validation/ is taken as the training images",
    ]);
    const three = await open(["train/a/1.png", "val/a/2.png", "test/a/3.png"], { strict: true });
    expect(three.notes).toEqual(["val/ is not used: test/ is held out"]);
    expect([three.train.count, three.test?.count]).toEqual([1, 1]);
    expect(await notes(["train/a/1.png", "test/a/3.png"])).toEqual([]);
  });

  test("that are taken for classes are said", async () => {
    const beside = await open(["n01/1.png", "n02/1.png", "val/images/1.png"]);
    expect(beside.classes).toEqual(["n01", "n02", "val"]);
    expect(beside.notes).toEqual([
      "the folder val/ is taken for a class; if it is a split, put the folders of classes beside it into train/",
    ]);
    const inside = await open(["data/train/a/1.png", "data/valid/a/2.png", "docs/3.png"]);
    expect(inside.notes?.[0]).toMatch(/^the folder data\/ is taken for a class, though it has train\/ inside/);
  });

  test("whose images have no labels make no class", async () => {
    const set = await open([
      "train/n01/images/1.png",
      "train/n02/images/1.png",
      "val/images/3.png",
      "test/images/4.png",
    ]);
    expect(set).toMatchObject({ classes: ["n01", "n02"], test: undefined, skipped: [] });
    expect(set.notes).toEqual([
      "test/ is not used: its 1 image has no labels",
      "val/ is not used: its 1 image has no labels",
    ]);
    for (const paths of [["images/1.png", "images/2.png"], ["val/1.png"], ["val/images/1.png"], ["x/train/1.png"]])
      await expect(open(paths)).rejects.toThrow(/no labels: .* not in a class folder/);
    expect(await open(["val/images/1.png"], { loose: true })).toMatchObject({ classes: [], labelsFrom: undefined });
  });
});

describe("names of classes", () => {
  test("are equal in any Unicode form", async () => {
    const set = await open(["train/caf\u00e9/1.png", "test/cafe\u0301/2.png", "train/tea/3.png"]);
    expect(set.classes).toEqual(["caf\u00e9", "tea"]);
    expect([...set.test!.labels]).toEqual([0]);
  });

  test("that differ by case in two splits are asked about; in one they are two, which is said", async () => {
    const asked = open(["train/Cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png"]);
    await expect(asked).rejects.toThrow(
      /are "Cat" \(train\/\) and "cat" \(val\/\) one class\? They differ by case only/,
    );
    await expect(asked).rejects.toBeInstanceOf(DataError);
    const two = await open(["train/Cat/1.png", "train/cat/1.png", "val/cat/2.png"]);
    expect(two.classes).toEqual(["cat", "Cat"]);
    expect(two.notes).toContain("the classes Cat, cat differ by case only");
  });

  test("are never those of folders that systems leave behind", async () => {
    const junk = [
      "@eaDir/a/x.jpg",
      "a/@eaDir/1.png/x.jpg",
      "__MACOSX/a/._1.png",
      ".ipynb_checkpoints/1.png",
      "#recycle/1.png",
    ];
    const others = ["a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", ".hidden/1.png", "$RECYCLE.BIN/1.png"];
    expect(await open(["a/1.png", "b/2.png", ...junk, ...others], { strict: true })).toMatchObject({
      classes: ["a", "b"],
      train: { count: 2 },
      skipped: [],
    });
  });
});
