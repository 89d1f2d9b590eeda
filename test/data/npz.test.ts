import { join } from "node:path";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { openDataset } from "../../src/data/dataset.ts";
import { DataError } from "../../src/errors.ts";
import type { ValueRange } from "../../src/value-range.ts";
import { folderOf } from "./make.ts";

/** A `.npy` of any type: `bytes` are its elements as they lie in the file. */
function npy(descr: string, shape: number[], bytes: Uint8Array): Uint8Array {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(",")},), }`;
  const out = Buffer.alloc(10 + header.length + bytes.length);
  out.write("\x93NUMPY\x01\0", "latin1");
  out.writeUInt16LE(header.length, 8);
  out.write(header, 10, "latin1");
  out.set(bytes, 10 + header.length);
  return out;
}
const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const u1 = (shape: number[], ...values: number[]) => npy("|u1", shape, Uint8Array.from(values));
const f4 = (shape: number[], ...values: number[]) => npy("<f4", shape, bytesOf(Float32Array.from(values)));
const i8 = (shape: number[], ...values: number[]) => npy("<i8", shape, bytesOf(BigInt64Array.from(values.map(BigInt))));

const open = async (arrays: Record<string, Uint8Array>, options = {}) => {
  const files = Object.fromEntries(Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes]));
  const folder = await folderOf({ "x.npz": zipSync(files) });
  return openDataset(join(folder, "x.npz"), { cache: false, loose: true, ...options });
};
const refusal = async (arrays: Record<string, Uint8Array>, options = {}): Promise<string> => {
  const error: unknown = await open(arrays, options).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message.replace(/^.*?x.npz: /, "");
};
const two = u1([2, 1, 2], 1, 2, 3, 4);
const others = u1([2, 1, 2], 5, 6, 7, 8);

describe("names of arrays", () => {
  const cases: [string, string, string, string, string][] = [
    ["Keras", "x_train", "y_train", "x_test", "y_test"],
    ["MedMNIST", "train_images", "train_labels", "test_images", "test_labels"],
    ["scikit-learn's", "X_train", "y_train", "X_test", "y_test"],
  ];
  test.each(cases)("of %s", async (_, x, y, xTest, yTest) => {
    const found = await open({ [x]: two, [y]: i8([2, 1], 3, 7), [xTest]: others, [yTest]: i8([2, 1], 7, 3) });
    expect(found).toMatchObject({ layout: "npz", labelsFrom: y, classes: ["3", "7"], imageShape: [1, 1, 2] });
    expect([...found.train.images]).toEqual([1, 2, 3, 4]);
    expect([...found.train.labels]).toEqual([0, 1]);
    expect([...found.test!.images]).toEqual([5, 6, 7, 8]);
    expect([...found.test!.labels]).toEqual([1, 0]);
  });

  test("a validation set is held out where there is no test set", async () => {
    const train = { train_images: two, train_labels: i8([2], 0, 1) };
    const val = { val_images: others, val_labels: i8([2], 0, 1) };
    const found = await open({ ...train, ...val });
    expect(found.test!.count).toBe(2);
    expect(found.notes).toEqual(["val_images is held out, as the test images"]);
    const { val_images } = val;
    const without = await open({ ...train, val_images });
    expect(without.test).toBeUndefined();
    expect(without.notes).toEqual(["val_images is not used: it has no labels"]);
  });

  test("others are told", async () => {
    expect(await refusal({ weights: two, biases: two })).toBe(
      "expected images in an array called arr_0, images, train_images, x_train but the arrays are weights, biases",
    );
    expect((await open({ images: two, labels: i8([2], 1, 0) })).classes).toEqual(["0", "1"]);
    expect((await open({ anything: two })).layout).toBe("npz without labels");
    expect(await open({ arr_0: two, arr_1: i8([2], 1, 0) }, { labels: "none" })).toMatchObject({
      layout: "npz without labels",
      classes: [],
    });
  });
});

describe("shapes", () => {
  test("[N, H, W, C] and [N, C, H, W]", async () => {
    const last = await open({ arr_0: u1([1, 1, 2, 3], 1, 2, 3, 4, 5, 6) });
    const first = await open({ arr_0: u1([1, 3, 1, 2], 1, 4, 2, 5, 3, 6) });
    for (const { imageShape, train } of [last, first]) {
      expect(imageShape).toEqual([3, 1, 2]);
      expect([...train.images]).toEqual([1, 4, 2, 5, 3, 6]);
    }
    expect((await open({ arr_0: u1([2, 1, 1, 2], 1, 2, 3, 4) })).imageShape).toEqual([1, 1, 2]);
  });
  test("others are refused", async () => {
    expect(await refusal({ arr_0: u1([1, 2, 1, 4], 1, 2, 3, 4, 5, 6, 7, 8) })).toMatch(
      /uint8 \[1,2,1,4\]; leave the fourth channel/,
    );
    expect(await refusal({ arr_0: u1([2, 4], 1, 2, 3, 4, 5, 6, 7, 8) })).toMatch(/\[2,4\]; reshape its rows to images/);
    expect(await refusal({ arr_0: u1([0, 4, 4]) })).toMatch(/there are no images/);
    expect(await refusal({ arr_0: npy("<U1", [1, 1, 1], bytesOf(Uint32Array.of(97))) })).toMatch(/expected images/);
  });
});

describe("values", () => {
  const read = async (array: Uint8Array, range?: ValueRange) => {
    const { train, notes } = await open({ arr_0: array }, { range });
    return [[...train.images], ...notes!];
  };
  const shape = [1, 1, 4];
  const u2 = (values: number[]) => bytesOf(Uint16Array.from(values));
  const cases: [string, Uint8Array, number[], string][] = [
    ["0 ... 1", f4(shape, 0, 0.5, 1, 0.25), [0, 128, 255, 64], "float32 values 0 ... 1 taken as 0 ... 255 of a byte"],
    ["-1 ... 1", f4(shape, -1, 0, 1, 0.5), [0, 128, 255, 191], "float32 values -1 ... 1 taken as 0 ... 255 of a byte"],
    ["0 ... 255", f4(shape, 0, 1, 254.6, 7), [0, 1, 255, 7], "float32 values 0 ... 255 taken as 0 ... 255 of a byte"],
    [
      "float64",
      npy("<f8", shape, bytesOf(Float64Array.of(0, 1, 1, 0))),
      [0, 255, 255, 0],
      "float64 values 0 ... 1 taken as 0 ... 255 of a byte",
    ],
    [
      "bool",
      npy("|b1", shape, Uint8Array.of(0, 1, 1, 0)),
      [0, 255, 255, 0],
      "bool values 0 ... 1 taken as 0 ... 255 of a byte",
    ],
    [
      "uint16",
      npy("<u2", shape, u2([0, 65535, 257, 25700])),
      [0, 255, 1, 100],
      "of uint16 values the upper 8 bits count",
    ],
    [
      "uint16 that holds bytes",
      npy("<u2", shape, u2([0, 255, 1, 100])),
      [0, 255, 1, 100],
      "uint16 values 0 ... 255 taken as 0 ... 255 of a byte",
    ],
    ["int64", i8(shape, 0, 1, 255, 3), [0, 1, 255, 3], "int64 values 0 ... 255 taken as 0 ... 255 of a byte"],
    [
      "big-endian",
      npy(">i2", shape, Uint8Array.of(0, 0, 0, 200, 0, 255, 0, 1)),
      [0, 200, 255, 1],
      "int16 values 0 ... 255 taken as 0 ... 255 of a byte",
    ],
    [
      "big-endian float",
      npy(">f4", shape, Uint8Array.of(0, 0, 0, 0, 0x3f, 0x80, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 0)),
      [0, 255, 128, 0],
      "float32 values 0 ... 1 taken as 0 ... 255 of a byte",
    ],
  ];
  test.each(cases)("%s", async (_, array, bytes, note) => {
    expect(await read(array)).toEqual([bytes, note]);
  });

  test("by a range that is told, which must hold them", async () => {
    expect(await read(f4(shape, 0, 0.5, 1, 1), "-1..1")).toEqual([
      [128, 191, 255, 255],
      "float32 values -1 ... 1 taken as 0 ... 255 of a byte",
    ]);
    expect(await read(f4(shape, 0, 0.5, 1, 1), "0..255")).toEqual([
      [0, 1, 1, 1],
      "float32 values 0 ... 255 taken as 0 ... 255 of a byte",
    ]);
    expect(await read(u1(shape, 0, 1, 1, 0), "0..1")).toEqual([
      [0, 255, 255, 0],
      "uint8 values 0 ... 1 taken as 0 ... 255 of a byte",
    ]);
    expect(await refusal({ arr_0: f4(shape, 0, 1.1, 0, 0) }, { range: "0..1" })).toBe(
      "arr_0: expected values in 0..1 but they are 0 to 1.1",
    );
    expect(await refusal({ arr_0: f4(shape, -300, 0, 0, 0) })).toBe(
      "arr_0: expected float32 values in 0..1, -1..1 or 0..255 but they are -300 to 0; save it as uint8",
    );
    expect(await refusal({ arr_0: i8(shape, 0, 300, 0, 0) })).toMatch(
      /expected int64 values in 0..255 but they are 0 to 300/,
    );
    expect(await refusal({ arr_0: f4(shape, 0, 1, Number.NaN, 0) })).toBe(
      "arr_0: expected finite values but number 2 is NaN",
    );
  });

  test("of both splits are taken alike", async () => {
    const [dark, bright] = [f4([1, 1, 2], 0, 1), f4([1, 1, 2], 0, 200)];
    const found = await open({ x_train: dark, y_train: i8([1], 0), x_test: bright, y_test: i8([1], 0) });
    expect([...found.train.images, ...found.test!.images]).toEqual([0, 1, 0, 200]);
    const mixed = { x_train: two, y_train: i8([2], 0, 1), x_test: bright, y_test: i8([1], 0) };
    expect(await refusal(mixed)).toBe("x_train is uint8 but x_test is float32; save both as uint8");
  });
});

describe("labels", () => {
  const labelled = (labels: Uint8Array) => ({ arr_0: two, arr_1: labels });
  test("one-hot, of one column, names, whole floats, with gaps", async () => {
    const cases: [Uint8Array, string[], number[]][] = [
      [f4([2, 3], 0, 0, 1, 1, 0, 0), ["0", "2"], [1, 0]],
      [u1([2, 2], 0, 1, 1, 0), ["0", "1"], [1, 0]],
      [u1([2, 1], 4, 2), ["2", "4"], [1, 0]],
      [npy("<U3", [2], bytesOf(Uint32Array.from("dogcat", (c) => c.codePointAt(0)!))), ["cat", "dog"], [1, 0]],
      [f4([2], 9, 3), ["3", "9"], [1, 0]],
      [npy(">i4", [2], Uint8Array.of(0, 0, 0, 10, 0, 0, 0, 9)), ["9", "10"], [1, 0]],
      [npy("<u4", [2], bytesOf(Uint32Array.of(1, 0))), ["0", "1"], [1, 0]],
    ];
    for (const [array, classes, labels] of cases) {
      const found = await open(labelled(array));
      expect(found.classes).toEqual(classes);
      expect([...found.train.labels]).toEqual(labels);
    }
  });
  test("that are none are refused", async () => {
    expect(await refusal(labelled(u1([2, 3], 1, 1, 0, 0, 0, 1)))).toMatch(
      /one 1 among zeros in each row, but row 0 is 1 1 0; --labels none/,
    );
    expect(await refusal(labelled(f4([2], 0.5, 1)))).toMatch(/that of image 0 is 0.5/);
    expect(await refusal(labelled(u1([2, 1, 1], 1, 1)))).toMatch(/expected 2 labels but it is uint8 \[2,1,1\]/);
    expect(await refusal(labelled(u1([3], 1, 1, 1)))).toMatch(/expected 2 labels but it is uint8 \[3\]/);
  });
});
