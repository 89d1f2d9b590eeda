import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { type Dataset, openDataset } from "../../src/data/dataset.ts";
import { tellsClasses } from "../../src/data/layout.ts";
import { DataError } from "../../src/errors.ts";
import { writeNpy } from "../../src/formats/npy.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { folderOf, noise } from "./make.ts";

/** The classes of images, in their order. */
const namesOf = ({ classes, train }: Dataset, split = train) => Array.from(split.labels, (label) => classes[label]);
const open = (path: string, options = {}) => openDataset(path, { cache: false, ...options });

describe("MNIST IDX", () => {
  const idx = (shape: number[], data: ArrayLike<number>) => {
    const bytes = Buffer.alloc(4 + 4 * shape.length + data.length);
    bytes.writeUInt32BE(0x0800 + shape.length);
    for (const [axis, n] of shape.entries()) bytes.writeUInt32BE(n, 4 + 4 * axis);
    bytes.set(Array.from(data), 4 + 4 * shape.length);
    return bytes;
  };
  const images = noise(3 * 5 * 4);
  const train = { "train-images-idx3-ubyte": idx([3, 5, 4], images), "train-labels-idx1-ubyte": idx([3], [1, 0, 10]) };

  test("plain, with test images", async () => {
    const files = {
      ...train,
      "t10k-images-idx3-ubyte": idx([1, 5, 4], noise(20, 2)),
      "t10k-labels-idx1-ubyte": idx([1], [2]),
    };
    const found = await open(await folderOf(files));
    expect(found.layout).toBe("MNIST IDX");
    expect(found.classes).toEqual(["0", "1", "2", "10"]);
    expect(found.imageShape).toEqual([1, 5, 4]);
    expect(namesOf(found)).toEqual(["1", "0", "10"]);
    expect([...found.train.images]).toEqual([...images]);
    expect([...found.test!.images]).toEqual([...noise(20, 2)]);
  });

  test("gzipped, in a subfolder, resized, in colour", async () => {
    const files = Object.fromEntries(Object.entries(train).map(([name, bytes]) => [`raw/${name}.gz`, gzipSync(bytes)]));
    const found = await open(await folderOf(files), { size: 3, channels: 3 });
    expect(found.imageShape).toEqual([3, 3, 3]);
    expect(found.train.count).toBe(3);
    expect(found.test).toBeUndefined();
  });

  const broken: [string, Record<string, Uint8Array>, RegExp][] = [
    [
      "labels missing",
      { "train-images-idx3-ubyte": train["train-images-idx3-ubyte"] },
      /train-labels-idx1-ubyte, are missing/,
    ],
    ["labels too few", { ...train, "train-labels-idx1-ubyte": idx([2], [0, 1]) }, /has 3 images, but .* has 2 labels/],
    [
      "cut",
      { ...train, "train-images-idx3-ubyte": train["train-images-idx3-ubyte"].subarray(0, 50) },
      /expected 76 bytes for shape \[3,5,4\] but there are 50/,
    ],
    ["not IDX", { ...train, "train-images-idx3-ubyte": noise(100) }, /its header differs/],
  ];
  for (const [name, files, message] of broken)
    test(name, async () => {
      const opened = open(await folderOf(files));
      await expect(opened).rejects.toThrow(message);
      await expect(opened).rejects.toBeInstanceOf(DataError);
    });
});

describe("CIFAR binary", () => {
  const record = (labels: number[], seed: number) => Buffer.concat([Uint8Array.from(labels), noise(3072, seed)]);
  const names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

  test("CIFAR-10: batches in order, names, test batch; in a zip too", async () => {
    const files = {
      "cifar-10-batches-bin/data_batch_2.bin": record([3], 3),
      "cifar-10-batches-bin/data_batch_1.bin": Buffer.concat([record([9], 1), record([0], 2)]),
      "cifar-10-batches-bin/test_batch.bin": record([5], 4),
      "cifar-10-batches-bin/batches.meta.txt": Buffer.from(names),
      "cifar-10-batches-bin/readme.html": Buffer.from("x"),
    };
    for (const path of [await folderOf(files), join(await folderOf({ "c.zip": zipSync(files) }), "c.zip")]) {
      const found = await open(path);
      expect(found.layout).toBe("CIFAR-10 binary");
      expect(found.classes).toEqual(["airplane", "cat", "dog", "truck"]);
      expect(found.imageShape).toEqual([3, 32, 32]);
      expect(namesOf(found)).toEqual(["truck", "airplane", "cat"]);
      expect(Buffer.from(found.train.images)).toEqual(Buffer.concat([1, 2, 3].map((seed) => noise(3072, seed))));
      expect(namesOf(found, found.test)).toEqual(["dog"]);
    }
  });

  test("CIFAR-100: the fine label counts; classes are numbered without names", async () => {
    const found = await open(await folderOf({ "train.bin": record([19, 99], 1), "test.bin": record([1, 2], 2) }));
    expect(found.classes).toEqual(["2", "99"]);
    expect(namesOf(found)).toEqual(["99"]);
    expect([...found.train.images]).toEqual([...noise(3072, 1)]);
  });

  test("damaged files", async () => {
    await expect(open(await folderOf({ "data_batch_1.bin": record([1], 1).subarray(1) }))).rejects.toThrow(
      /data_batch_1.bin: expected records of 3073 bytes but there are 3072 bytes/,
    );
    await expect(open(await folderOf({ "data_batch_1.bin": record([10], 1) }))).rejects.toThrow(
      /labels below 10 but one is 10/,
    );
    await expect(
      open(await folderOf({ "data_batch_1.bin": record([1], 1), "batches.meta.txt": "a\nb" })),
    ).rejects.toThrow(/expected 10 class names but there are 2/);
  });
});

describe("npz of samples", () => {
  const write = async (arrays: Parameters<typeof writeNpz>[0]) =>
    join(await folderOf({ "samples.npz": writeNpz(arrays) }), "samples.npz");
  const images = {
    dtype: "uint8",
    shape: [2, 1, 2, 3],
    data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
  } as const;

  test("images and labels", async () => {
    const labels = { dtype: "int64", shape: [2], data: BigInt64Array.of(2n, 0n) } as const;
    const found = await open(await write({ arr_0: images, arr_1: labels }));
    expect(tellsClasses(found.layout)).toBe(true);
    expect(found.classes).toEqual(["0", "2"]);
    expect(namesOf(found)).toEqual(["2", "0"]);
    expect([...found.train.images]).toEqual([1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12]);
  });

  test("images alone are of no class", async () => {
    const found = await open(await write({ arr_0: images }));
    expect(found.classes).toEqual([]);
    expect(tellsClasses(found.layout)).toBe(false);
    expect(found.train.count).toBe(2);
  });

  test("arrays that do not fit", async () => {
    const floats = { dtype: "float32", shape: [1, 1, 1, 1], data: new Float32Array(1) } as const;
    const refusalOf = async (bytes: Uint8Array) => {
      const path = join(await folderOf({ "samples.npz": bytes }), "samples.npz");
      const error = await open(path).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(DataError);
      const { message } = error as DataError;
      expect(message.slice(0, path.length + 2)).toBe(`${path}: `);
      return message.slice(path.length + 2);
    };
    const refusal = (arrays: Parameters<typeof write>[0]) => refusalOf(writeNpz(arrays));
    expect(await refusal({ arr_0: { ...floats, shape: [1] } })).toBe(
      "arr_0: expected images [N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W] but it is float32 [1]",
    );
    const labels = (...data: number[]) =>
      ({ dtype: "int32", shape: [data.length], data: Int32Array.from(data) }) as const;
    expect(await refusal({ arr_0: images, arr_1: labels(1) })).toBe("arr_1: expected 2 labels but it is int32 [1]");
    expect(await refusal({ arr_0: images, arr_1: labels(3, -1) })).toBe(
      "arr_1: expected labels, whole numbers from 0 to 65535, but that of image 1 is -1",
    );
    const cut = zipSync({ "arr_0.npy": writeNpy(images, "arr_0").subarray(0, -1) });
    expect(await refusalOf(cut)).toMatch(/^array "arr_0": shape .* needs 12 bytes but 11 came; is it truncated\?$/);
    expect(await refusalOf(cut.subarray(0, -9))).toMatch(/^not a whole zip archive/);
  });
});
