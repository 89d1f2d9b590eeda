import { mkdir, readdir, readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { type DatasetOptions, openDataset } from "../../src/data/dataset.ts";
import { DataError } from "../../src/errors.ts";
import { folderOf, noise, plain, png } from "./make.ts";

async function setUp() {
  const files = {
    "train/a/1.png": await plain("#f00"),
    "train/b/2.png": await plain("#0f0"),
    "test/b/3.png": await plain("#00f"),
    "train/b/4.png": "?",
  };
  const [root, cache] = [await folderOf(files), join(await folderOf({}), "deep", "er")];
  const open = (options: DatasetOptions = {}) => openDataset(root, { cache, ...options });
  return { root, cache, open };
}

test("opening again reads the cache and gives the same", async () => {
  const { cache, open } = await setUp();
  const first = await open();
  const second = await open();
  expect(first.cache?.state).toBe("written");
  expect(second).toEqual({ ...first, cache: { file: first.cache?.file, state: "read" } });
  expect(second.skipped).toHaveLength(1);
  expect(second.train.labels).toEqual(Int32Array.of(0, 1));
  expect(await readdir(cache)).toHaveLength(1);
});

test("without test images", async () => {
  const root = await folderOf({ "a/1.png": await plain("#f00") });
  const open = () => openDataset(root, { cache: join(root, ".cache") });
  expect((await open()).test).toBeUndefined();
  const again = await open();
  expect(again.cache?.state).toBe("read");
  expect(again.test).toBeUndefined();
});

test("grey and colour are made of one cache, as of the files", async () => {
  const { root, open } = await setUp();
  await open();
  for (const channels of [1, 3] as const) {
    const { cache, ...cached } = await open({ channels });
    expect(cache?.state).toBe("read");
    expect(cached.imageShape).toEqual([channels, 4, 4]);
    const { cache: _, ...decoded } = await openDataset(root, { channels, cache: false });
    expect(cached).toEqual(decoded);
  }
  const random = await folderOf({
    "a/1.png": await png(noise(3 * 5 * 7), 5, 7, 3),
    "b/2.png": await png(noise(35, 2), 5, 7),
  });
  const colour = await openDataset(random, { cache: false });
  const pixels = Array.from({ length: 70 }, (_, i) => {
    const [red, green, blue] = [0, 1, 2].map((c) => colour.train.images[Math.floor(i / 35) * 105 + c * 35 + (i % 35)]!);
    return Math.round(0.299 * red! + 0.587 * green! + 0.114 * blue!);
  });
  expect([...(await openDataset(random, { cache: false, channels: 1 })).train.images]).toEqual(pixels);
});

test("other sizes, changed files and new files are decoded anew", async () => {
  const { root, open } = await setUp();
  await open();
  expect((await open({ size: 2 })).imageShape).toEqual([3, 2, 2]);
  await writeFile(join(root, "train/a/1.png"), await plain("#123456"));
  await utimes(join(root, "train/a/1.png"), 1000, 1000);
  expect((await open()).train.images[0]).toBe(0x12);
  await writeFile(join(root, "train/b/5.png"), await plain("#fff"));
  expect((await open()).train.count).toBe(3);
  expect((await open()).cache?.state).toBe("read");
});

test.each(["a folder", "a zip", "a picture"])(
  "%s in whose place others of equal size and times were put is decoded anew",
  async (kind) => {
    const pictures = async (color: string) => ({ "a/1.png": await plain(color) });
    const contentOf = async (color: string): Promise<Uint8Array> =>
      kind === "a zip" ? zipSync(await pictures(color), { level: 0 }) : plain(color);
    const root = await folderOf({ "a/1.png": await contentOf("#102030") });
    const file = join(root, "a/1.png");
    const path = kind === "a folder" ? root : file;
    const open = () => openDataset(path, { loose: true, cache: join(root, ".cache") });
    await utimes(file, 1000, 1000);
    expect((await open()).train.images[0]).toBe(0x10);
    const { size } = await stat(file);
    await writeFile(`${file}.new`, await contentOf("#203040"));
    await utimes(`${file}.new`, 1000, 1000);
    await rename(`${file}.new`, file);
    expect((await stat(file)).size).toBe(size);
    expect((await open()).train.images[0]).toBe(0x20);
  },
);

test("a damaged cache is noticed and written again, wherever the damage", async () => {
  const { open } = await setUp();
  const { cache, train } = await open();
  const good = await readFile(cache!.file);
  const damaged = [0, 9, 13, 20, good.length - 1].map((at) => good.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  for (const bytes of [...damaged, good.subarray(0, -1), good.subarray(0, 10), Buffer.alloc(0)]) {
    await writeFile(cache!.file, bytes);
    const again = await open();
    expect(again.cache?.state).toBe("written");
    expect(again.train).toEqual(train);
    expect(await readFile(cache!.file)).toEqual(good);
  }
});

test("strict holds for a cached set too", async () => {
  const { cache, open } = await setUp();
  await expect(open({ strict: true })).rejects.toBeInstanceOf(DataError);
  await expect(readdir(cache)).rejects.toThrow(); // nothing written
  await open();
  await expect(open({ strict: true })).rejects.toThrow(/1 file would be skipped; train\/b\/4.png/);
});

test("a cache that cannot be written is said, not an error", async () => {
  const { root } = await setUp();
  const blocked = join(await folderOf({ file: "x" }), "file");
  const found = await openDataset(root, { cache: blocked });
  expect(found.train.count).toBe(2);
  expect(found.cache?.state).toBeInstanceOf(Error);
});

test("the default folder follows XDG_CACHE_HOME; false means none", async () => {
  const { root } = await setUp();
  const home = await folderOf({});
  await mkdir(home, { recursive: true });
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = home;
  try {
    expect((await openDataset(root, { cache: false })).cache).toBeUndefined();
    expect(await readdir(home)).toEqual([]);
    const { cache } = await openDataset(root);
    expect(cache?.file.startsWith(join(home, "guidestar", "datasets"))).toBe(true);
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  }
});
