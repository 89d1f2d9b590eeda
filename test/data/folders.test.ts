import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { openDataset, requireClasses } from "../../src/data/dataset.ts";
import { formatReport, reportOf } from "../../src/data/report.ts";
import { DataError, UsageError } from "../../src/errors.ts";
import { folderOf, noise, plain, png } from "./make.ts";

const open = (path: string, options = {}) => openDataset(path, { cache: false, ...options });
const paths = async (list: string[]): Promise<Record<string, Buffer>> => {
  const image = await plain("#777");
  return Object.fromEntries(list.map((path) => [path, image]));
};

describe("classes and splits from paths", () => {
  const cases: [string, string[], string[], { train: number[]; test?: number[] }][] = [
    ["class folders", ["b/1.png", "a/1.png", "a/2.png"], ["a", "b"], { train: [0, 0, 1] }],
    ["numbers order by value", ["10/1.png", "9/1.png", "0/1.png"], ["0", "9", "10"], { train: [0, 1, 2] }],
    ["train and test", ["train/a/1.png", "train/b/1.png", "test/b/2.png"], ["a", "b"], { train: [0, 1], test: [1] }],
    ["a class of test only", ["train/b/1.png", "val/a/1.png"], ["a", "b"], { train: [1], test: [0] }],
    ["a wrapping folder", ["set/train/a/1.png", "set/test/a/1.png", "set/read.me"], ["a"], { train: [0], test: [0] }],
    ["two wrapping folders", ["x/y/a/1.png", "x/y/b/1.png"], ["a", "b"], { train: [0, 1] }],
    ["a wrapping folder, preview inside", ["set/Train/a/1.png", "set/look.png"], ["a"], { train: [0] }],
    ["a class named train", ["train/1.png", "bus/1.png"], ["bus", "train"], { train: [0, 1] }],
    ["deeper folders count for their class", ["a/x/1.png", "a/2.png", "b/1.png"], ["a", "b"], { train: [0, 0, 1] }],
    ["hidden files", ["a/1.png", "a/.1.png", "__MACOSX/b/1.png", ".git/c/1.png"], ["a"], { train: [0] }],
    ["one class", ["a/1.png"], ["a"], { train: [0] }],
  ];
  for (const [name, list, classes, labels] of cases)
    test(name, async () => {
      const files = await paths(list);
      const folder = await open(await folderOf(files));
      const zip = await open(join(await folderOf({ "set.zip": zipSync(files) }), "set.zip"));
      for (const found of [folder, zip]) {
        expect(found.classes).toEqual(classes);
        expect([...found.train.labels]).toEqual(labels.train);
        expect(found.test && [...found.test.labels]).toEqual(labels.test);
        expect(found.layout).toBe("class folders");
      }
    });
});

test("folders that look like parts of a data set are classes with a note", async () => {
  const notesOf = async (...list: string[]) => (await open(await folderOf(await paths(list)))).notes;
  expect(await notesOf("00000/img0.png", "00001/img1.png")).toEqual([
    expect.stringMatching(/^folders such as 00000 are taken as classes.*dataset\.json is missing.*--labels none$/),
  ]);
  expect(await notesOf("0/1.png", "1/1.png")).toEqual([]);
  expect(await notesOf("00000/1.png", "dog/1.png")).toEqual([]);
});

describe("images in no class folder", () => {
  test("are taken where that is asked for, and only there, whatever the cache holds", async () => {
    const path = await folderOf(await paths(["10.png", "9.png", "notes.txt"]));
    const cache = await folderOf({});
    await expect(openDataset(path, { cache })).rejects.toThrow(DataError);
    const loose = await openDataset(path, { cache, loose: true });
    expect(loose).toMatchObject({
      layout: "loose images",
      classes: [],
      train: { count: 2 },
      cache: { state: "written" },
    });
    expect((await openDataset(path, { cache, loose: true })).cache).toMatchObject({ state: "read" });
    await expect(openDataset(path, { cache })).rejects.toThrow(DataError);
  });

  test("may be one file", async () => {
    const bytes = await plain("#777");
    const path = await folderOf({ "1.png": bytes, a: zipSync({ "2.png": bytes }) });
    for (const name of ["1.png", "a"]) {
      const found = await open(join(path, name), { loose: true });
      expect(found).toMatchObject({ layout: "loose images", imageShape: [1, 4, 4], train: { count: 1 } });
    }
  });

  test("are not taken beside class folders", async () => {
    const found = await open(await folderOf(await paths(["a/1.png", "2.png"])), { loose: true });
    expect(found).toMatchObject({ layout: "class folders", classes: ["a"], train: { count: 1 } });
  });
});

describe("pixels", () => {
  test("are packed by channel, in the order of names, grey where all are grey", async () => {
    const [first, second] = [noise(6, 1), noise(6, 2)];
    const found = await open(
      await folderOf({ "a/10.png": await png(second, 3, 2), "a/9.png": await png(first, 3, 2) }),
    );
    expect(found.imageShape).toEqual([1, 2, 3]);
    expect([...found.train.images]).toEqual([...first, ...second]);
  });

  test("are grey also where grey is stored as colour", async () => {
    const found = await open(await folderOf({ "a/1.png": await plain("#808080", 2) }));
    expect(found.imageShape).toEqual([1, 2, 2]);
    expect([...found.train.images]).toEqual([128, 128, 128, 128]);
  });

  test("are colour from the first colour image on, those before included", async () => {
    const files = { "a/1.png": await png(Uint8Array.of(1, 2), 2, 1), "a/2.png": await plain("#0a141e", 2, 1) };
    const found = await open(await folderOf(files));
    expect(found.imageShape).toEqual([3, 1, 2]);
    expect([...found.train.images]).toEqual([1, 2, 1, 2, 1, 2, 10, 10, 20, 20, 30, 30]);
  });

  test("can be forced to grey (luma) or colour", async () => {
    const colour = await folderOf({ "a/1.png": await plain("#ff0000", 1) });
    expect([...(await open(colour, { channels: 1 })).train.images]).toEqual([76]); // 0.299 * 255
    const grey = await folderOf({ "a/1.png": await png(Uint8Array.of(7), 1, 1) });
    expect([...(await open(grey, { channels: 3 })).train.images]).toEqual([7, 7, 7]);
  });

  test("show white where transparent and stand upright", async () => {
    const half = await png(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 255), 2, 1, 4);
    expect([...(await open(await folderOf({ "a/1.png": half }))).train.images]).toEqual([255, 0]);
    const turned = await sharp(Uint8Array.of(0, 255), { raw: { width: 2, height: 1, channels: 1 } })
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    const found = await open(await folderOf({ "a/1.png": turned }));
    expect(found.imageShape).toEqual([1, 2, 1]);
    expect([...found.train.images]).toEqual([0, 255]);
  });

  test("are resized by the shorter side and cropped at the centre", async () => {
    // 24x8: black, white, black thirds; the centre square is the white third
    const data = Uint8Array.from({ length: 24 * 8 }, (_, i) => (Math.floor((i % 24) / 8) === 1 ? 255 : 0));
    const found = await open(await folderOf({ "a/1.png": await png(data, 24, 8) }), { size: 4 });
    expect(found.imageShape).toEqual([1, 4, 4]);
    const middle = [5, 6, 9, 10].map((i) => found.train.images[i]!);
    for (const value of middle) expect(value).toBeGreaterThan(235);
  });

  test("average over the area when shrunk", async () => {
    const checks = Uint8Array.from({ length: 32 * 32 }, (_, i) =>
      ((i % 32) + Math.floor(i / 32)) % 2 === 0 ? 255 : 0,
    );
    const found = await open(await folderOf({ "a/1.png": await png(checks, 32, 32) }), { size: 4 });
    for (const value of found.train.images) expect(Math.abs(value - 127.5)).toBeLessThan(8);
  });

  test("of JPEG, WebP and GIF are read", async () => {
    const image = () => sharp({ create: { width: 8, height: 8, channels: 3, background: "#ff0000" } });
    const files = {
      "a/1.jpg": await image().jpeg().toBuffer(),
      "a/2.webp": await image().webp({ lossless: true }).toBuffer(),
      "a/3.gif": await image().gif().toBuffer(),
    };
    const found = await open(await folderOf(files));
    expect(found.train.count).toBe(3);
    for (let n = 0; n < 3; n++) {
      expect(found.train.images[n * 192]).toBeGreaterThan(250);
      expect(found.train.images[n * 192 + 64]).toBeLessThan(5);
    }
  });
});

describe("files that cannot be read", () => {
  const broken = async () => {
    const jpeg = await sharp(noise(64 * 64 * 3), { raw: { width: 64, height: 64, channels: 3 } })
      .jpeg()
      .toBuffer();
    return {
      "a/1.png": await plain("#f00", 64),
      "a/2.jpg": jpeg.subarray(0, jpeg.length / 2),
      "b/3.png": "not a picture",
      "b/4.bmp": "BM",
      "b/5.png": await plain("#0f0", 64),
    };
  };

  test("are named and counted", async () => {
    const found = await open(await folderOf(await broken()));
    expect([...found.train.labels]).toEqual([0, 1]);
    expect(found.skipped.map(({ path }) => path).sort()).toEqual(["a/2.jpg", "b/3.png", "b/4.bmp"]);
    for (const { reason } of found.skipped) expect(reason).not.toBe("");
    expect(found.train.images.length).toBe(2 * 3 * 64 * 64);
    expect(formatReport(found)).toContain("skipped: 3\n");
    expect(formatReport(found)).toContain("a/2.jpg: ");
  });

  test("are an error where strict", async () => {
    await expect(open(await folderOf(await broken()), { strict: true })).rejects.toThrow(
      /3 files would be skipped; .*: /,
    );
  });

  test("in a zip are skipped alone", async () => {
    const bytes = zipSync(await paths(["a/1.png", "b/2.png"]), { level: 0 });
    bytes[30 + "a/1.png".length + 50]! ^= 1; // a bit of the first image
    const found = await open(join(await folderOf({ "set.zip": bytes }), "set.zip"));
    expect(found.classes).toEqual(["b"]);
    expect([...found.train.labels]).toEqual([0]);
    expect(found.skipped).toEqual([{ path: "a/1.png", reason: expect.stringContaining("checksum") }]);
  });
});

describe("errors", () => {
  const rejects = async (files: Record<string, Uint8Array | string>, message: RegExp, name = "", options = {}) => {
    const opened = open(join(await folderOf(files), name), options);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toBeInstanceOf(DataError);
  };
  test("missing path", () => rejects({}, /nowhere: no such file or folder/, "nowhere"));
  test("no images", () =>
    rejects({ "a/readme.txt": "x" }, /no images found among 1 file.*Accepted: a folder, zip or tar of CLASS/));
  test("empty folder", () => rejects({}, /no images found among 0 files/));
  test("images outside class folders", async () =>
    rejects(
      await paths(["1.png", "2.png"]),
      /no labels: 2 images, of which 1.png is not in a class folder; .*--labels from-name .*--labels none/,
    ));
  test("splits without class folders", async () =>
    rejects(await paths(["train/1.png", "test/2.png"]), /not in a class folder/));
  test("all unreadable", () =>
    rejects({ "a/1.png": "x", "a/2.png": "y" }, /none of 2 images could be read; a\/1.png: /));
  test("mixed sizes", async () =>
    rejects(
      { "a/1.png": await plain("#777", 4), "b/2.png": await plain("#777", 6, 5) },
      /mixed sizes: a\/1.png is 4x4, b\/2.png is 6x5; give a size \(--size\)/,
    ));
  test("a file of another kind", () =>
    rejects({ "n.csv": "a,b" }, /n.csv: no images found among 1 file\. Accepted: an image, or a folder/, "n.csv", {
      loose: true,
    }));
  test("not a zip", () => rejects({ "set.zip": "plain text" }, /set.zip: not a whole zip/, "set.zip"));
  test("a zip cut short", async () => {
    const bytes = zipSync(await paths(["a/1.png", "b/2.png"]));
    await rejects({ "set.zip": bytes.subarray(0, bytes.length / 2) }, /set.zip: not a whole zip/, "set.zip");
  });
  test("one class, for a classifier", async () => {
    const found = await open(await folderOf(await paths(["train/cat/1.png", "test/dog/1.png"])));
    expect(() => requireClasses(found, 2)).toThrow(/at least 2 classes but there is 1 \(cat\)/);
    expect(() => requireClasses(found, 1)).not.toThrow();
  });
  test("bad size", async () => {
    await expect(open("anywhere", { size: 0 })).rejects.toBeInstanceOf(UsageError);
  });
});

test("mixed sizes are fine with a size", async () => {
  const files = { "a/1.png": await plain("#777", 4), "b/2.png": await plain("#777", 6, 5) };
  const found = await open(await folderOf(files), { size: 5 });
  expect(found.imageShape).toEqual([1, 5, 5]);
  expect(new Set(found.train.images)).toEqual(new Set([0x77]));
});

test("progress is told and the signal heeded", async () => {
  const root = await folderOf(await paths(Array.from({ length: 150 }, (_, i) => `a/${i}.png`)));
  const controller = new AbortController();
  const told: number[] = [];
  const onProgress = ({ done, total }: { done: number; total: number }) => {
    expect(total).toBe(150);
    if (told.push(done) === 2) controller.abort();
  };
  await expect(open(root, { onProgress, signal: controller.signal })).rejects.toThrow(/abort/i);
  expect(told).toEqual([64, 128]);
});

test("the report counts classes by split", async () => {
  const root = await folderOf(await paths(["train/cat/1.png", "train/cat/2.png", "train/ox/1.png", "test/ox/1.png"]));
  const found = await open(root);
  expect(reportOf(found)).toEqual({
    path: root,
    layout: "class folders",
    labels: "folder names",
    channels: 1,
    height: 4,
    width: 4,
    train: 3,
    test: 1,
    classes: [
      { name: "cat", train: 2, test: 0 },
      { name: "ox", train: 1, test: 1 },
    ],
    skipped: [],
    background: "white",
    transparent: 0,
    notes: [],
  });
  expect(formatReport(found)).toBe(
    `${root}: 4 images of 2 classes, 4x4, grey (class folders)\nlabels from folder names\n\n` +
      "class  train  test\ncat        2     0\nox         1     1\ntotal      3     1",
  );
});

test("a zip of more than 65,535 files is read whole", async () => {
  const image = await png(Uint8Array.of(5), 1, 1);
  const files = Object.fromEntries(Array.from({ length: 66000 }, (_, i) => [`${i % 3}/${i}.png`, image]));
  const root = await folderOf({ "set.zip": zipSync(files, { level: 0 }) });
  expect((await open(join(root, "set.zip"))).train.count).toBe(66000);
});

test("a link to a folder above gives no picture twice; one to a folder elsewhere is followed", async () => {
  const root = await folderOf(await paths(["set/a/1.png", "set/b/2.png", "elsewhere/3.png"]));
  await symlink("..", join(root, "set", "a", "up"));
  await symlink("../../elsewhere", join(root, "set", "b", "more"));
  const { classes, train } = await open(join(root, "set"));
  expect(classes).toEqual(["a", "b"]);
  expect([...train.labels]).toEqual([0, 1, 1]);
});
