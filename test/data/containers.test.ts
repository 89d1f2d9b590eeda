import { rm } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { binary, columnFromArray, tableFromArrays, tableFromColumns, tableToIPC, utf8 } from "@uwdata/flechette";
import { zipSync } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { openDataset } from "../../src/data/dataset.ts";
import { DataError } from "../../src/errors.ts";
import { folderOf, plain } from "./make.ts";
import { rawZip, tar } from "./make-archives.ts";

const open = (path: string, options = {}) => openDataset(path, { cache: false, ...options });
const opened = async (files: Record<string, Uint8Array>, name = "", options = {}) =>
  open(join(await folderOf(files), name), options);
const [red, green, blue] = await Promise.all(["#f00", "#0f0", "#00f"].map((colour) => plain(colour)));
const text = (value: string): Buffer => Buffer.from(value);
/** First red and green value of each image tell which it is. */
const colours = ({ images, shape: [, h, w] }: { images: Uint8Array; shape: readonly number[] }) =>
  Array.from(
    { length: images.length / (3 * h! * w!) },
    (_, n) => "rgb"[[0, 1, 2].findIndex((c) => images[(3 * n + c) * h! * w!])],
  );
const refusal = async (files: Record<string, Uint8Array>, name = "", options = {}): Promise<string> => {
  const error: unknown = await opened(files, name, options).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).not.toContain("\n");
  return (error as DataError).message;
};

describe("tar", () => {
  const folders = { "./set/a/1.png": red!, "./set/b/2.png": green! };
  test("of class folders, plain and gzipped, whatever its name", async () => {
    const archive = tar(folders);
    const files = { "x.tar": archive, "x.tar.gz": gzipSync(archive), "x.tgz": gzipSync(archive), data: archive };
    for (const name of Object.keys(files)) {
      const found = await opened(files, name);
      expect(found).toMatchObject({ layout: "class folders", classes: ["a", "b"] });
      expect(colours(found.train)).toEqual(["r", "g"]);
    }
  });

  test("of WebDataset: classes from .cls or .json beside the images", async () => {
    const cls = { "000.png": red!, "000.cls": text("3\n"), "001.left.png": green!, "001.cls": text("7") };
    const found = await opened({ "w.tar": tar(cls) }, "w.tar");
    expect(found).toMatchObject({ layout: "labelled images", labelsFrom: "the .cls files", classes: ["3", "7"] });
    expect([...found.train.labels]).toEqual([0, 1]);
    const json = {
      "000.png": red!,
      "000.json": text('{"label": "cat"}'),
      "001.png": green!,
      "001.json": text('{"label": "dog"}'),
    };
    expect(await opened({ "w.tar": tar(json) }, "w.tar")).toMatchObject({
      labelsFrom: "the .json files",
      classes: ["cat", "dog"],
    });
    expect(await refusal({ "w.tar": tar({ ...cls, "000.cls": text("0.25") }) }, "w.tar")).toMatch(
      /000.cls: expected a class/,
    );
    const none = await opened({ "w.tar": tar({ ...cls, "002.png": blue! }) }, "w.tar");
    expect(none.skipped).toEqual([{ path: "002.png", reason: "no label in the .cls files" }]);
  });

  test("in several parts, of splits that their names tell", async () => {
    const part = (key: string, image: Uint8Array, label: string) =>
      tar({ [`${key}.png`]: image, [`${key}.cls`]: text(label) });
    const found = await opened({
      "set-train-000000.tar": part("a", red!, "0"),
      "set-train-000001.tar": part("b", green!, "1"),
      "set-val-000000.tar": part("a", blue!, "1"),
      "README.md": text("#"),
    });
    expect(colours(found.train)).toEqual(["r", "g"]);
    expect([...found.train.labels]).toEqual([0, 1]);
    expect([...found.test!.labels]).toEqual([1]);
    expect(await refusal({ "000.tar": tar({ "1.png": red! }), "001.tar": tar({ "2.png": red! }) })).toMatch(
      /no labels/,
    );
    expect(await opened({ "cat.tar": tar({ "1.png": red! }), "dog.tar": tar({ "1.png": green! }) })).toMatchObject({
      classes: ["cat", "dog"],
    });
  });

  test("with long names, links, later copies and refused paths", async () => {
    const long = `${"x".repeat(120)}.png`;
    const found = await opened(
      {
        "x.tar": tar(
          { [`a/${long}`]: red!, "b/2.png": green!, "../c/3.png": blue!, "/d/4.png": blue!, "a/e.zip": text("PK") },
          { link: "a/link.png" },
        ),
      },
      "x.tar",
    );
    expect(found.classes).toEqual(["a", "b"]);
    expect(found.skipped.map(({ path, reason }) => `${path}: ${reason}`).sort()).toEqual([
      "../c/3.png: its path leads out of its folder (..); pack the archive again",
      "/d/4.png: an absolute path; pack the archive again, with paths within it",
      "a/e.zip: an archive inside an archive; unpack it",
      "a/link.png: a symbolic link",
    ]);
  });

  test("that is cut or damaged", async () => {
    const archive = tar(folders);
    expect(await refusal({ "x.tar": archive.subarray(0, 550) }, "x.tar")).toMatch(
      /x.tar: ends within ".\/set\/a\/1.png" .*; is the file whole\?/,
    );
    expect(await refusal({ "x.tar": archive.with(1024 + 3, 1) }, "x.tar")).toMatch(
      /x.tar: the tar archive is damaged at byte 1024/,
    );
    expect(await refusal({ "x.tgz": gzipSync(archive).subarray(0, 100) }, "x.tgz")).toMatch(
      /x.tgz: cannot be gunzipped \(unexpected end of file\)/,
    );
    expect(await refusal({ "x.tgz": gzipSync(text("no tar")) }, "x.tgz")).toMatch(/x.tgz: not a tar archive/);
  });
});

describe("parquet and Arrow of the hub's data sets", () => {
  const features = { image: { _type: "Image" }, label: { _type: "ClassLabel", names: ["cat", "dog"] } };
  const hub = (named: object = features) => JSON.stringify({ info: { features: named } });
  const parquet = (
    images: Uint8Array[],
    labels: (number | bigint)[],
    { names = hub(), codec = "SNAPPY" as "SNAPPY" | "UNCOMPRESSED" } = {},
  ) =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "image", data: images, type: "BYTE_ARRAY" },
          { name: "label", data: labels.map(BigInt), type: "INT64" },
          { name: "other", data: labels.map(() => 0.5), type: "DOUBLE" },
        ],
        kvMetadata: names === "" ? [] : [{ key: "huggingface", value: names }],
        rowGroupSize: 2,
        codec,
      }),
    );

  test("parquet: images and class names, a file for each split", async () => {
    const found = await opened({
      "data/train-00000-of-00002.parquet": parquet([red!, green!, blue!], [1, 0, 1]),
      "data/train-00001-of-00002.parquet": parquet([blue!], [0], { codec: "UNCOMPRESSED" }),
      "data/test-00000-of-00001.parquet": parquet([green!], [1]),
      "README.md": text("#"),
    });
    expect(found).toMatchObject({ layout: "labelled images", labelsFrom: "column label", classes: ["cat", "dog"] });
    expect(colours(found.train)).toEqual(["r", "g", "b", "b"]);
    expect([...found.train.labels]).toEqual([1, 0, 1, 0]);
    expect(colours(found.test!)).toEqual(["g"]);
    expect([...found.test!.labels]).toEqual([1]);
  });

  test("parquet without names; another column; labels that are missing", async () => {
    const plainLabels = await opened({ "x.parquet": parquet([red!, green!], [5, 2], { names: "" }) }, "x.parquet");
    expect(plainLabels.classes).toEqual(["2", "5"]);
    expect([...plainLabels.train.labels]).toEqual([1, 0]);
    const x = parquet([red!, green!], [-1, 0]);
    const found = await opened({ x }, "x");
    expect(found.classes).toEqual(["cat"]);
    expect(found.skipped).toEqual([{ path: "x/0", reason: "no label in column label" }]);
    expect(await refusal({ x }, "x", { labelColumn: "breed" })).toMatch(
      /no column "breed" for --label-column; its columns are label, other/,
    );
    expect(await refusal({ x }, "x", { labelColumn: "other" })).toMatch(
      /expected names or whole numbers in the column other but row 0 has 0.5/,
    );
    expect(await refusal({ x: parquet([red!], [7]) }, "x")).toMatch(
      /row 0 has label 7 but its column label names 2 classes/,
    );
    const two = hub({ ...features, other: features.label });
    expect(await opened({ x: parquet([red!], [1], { names: two }) }, "x")).toMatchObject({ classes: ["dog"] });
    expect(await opened({ x }, "x", { labels: "none" })).toMatchObject({
      layout: "images without labels",
      train: { count: 2 },
    });
  });

  test("Arrow streams and files", async () => {
    const table = tableFromColumns({
      image: columnFromArray([red!, green!], binary()),
      label: columnFromArray(["ox", "ant"], utf8()),
    });
    for (const format of ["stream", "file"] as const) {
      const found = await opened({ "x.arrow": tableToIPC(table, { format })! }, "x.arrow");
      expect(found.classes).toEqual(["ant", "ox"]);
      expect(colours(found.train)).toEqual(["r", "g"]);
    }
  });

  test("that are damaged, or hold no images", async () => {
    const x = parquet([red!, green!], [0, 1]);
    expect(await refusal({ "x.parquet": x.subarray(0, x.length - 9) }, "x.parquet")).toMatch(
      /x.parquet: cannot be read as parquet \(.*\); is the file whole\?/,
    );
    expect(await refusal({ "x.arrow": text("ARROW1 no") }, "x.arrow")).toMatch(/x.arrow: cannot be read as Arrow/);
    // Of the first list of parts in the file the count is set to millions.
    const whole = tableToIPC(tableFromColumns({ image: columnFromArray([red!, green!], binary()) }), {
      format: "file",
    })!;
    const counted = new DataView(whole.slice().buffer);
    for (let at = 8; at + 4 < counted.byteLength; at += 4)
      if (counted.getInt32(at, true) === 1) counted.setInt32(at, 0x01000000, true);
    expect(await refusal({ "x.arrow": new Uint8Array(counted.buffer) }, "x.arrow")).toMatch(
      /x.arrow: cannot be read as Arrow \(a list of 16777216 parts does not fit into it\)/,
    );
    const numbers = tableToIPC(tableFromArrays({ label: [1, 2] }), { format: "file" })!;
    expect(await refusal({ "x.arrow": numbers }, "x.arrow")).toMatch(
      /expected a column of encoded images .* its columns are label/,
    );
  });
});

describe("zips", () => {
  const zip = (entries: [string | Uint8Array, Uint8Array][], options = {}) => ({ "x.zip": rawZip(entries, options) });
  test("of programs for Windows, and with ./ and //", async () => {
    const found = await opened(
      zip([
        ["set\\a\\1.png", red!],
        [".\\set/b//2.png", green!],
        ["__MACOSX\\set\\a\\._1.png", text("x")],
      ]),
      "x.zip",
    );
    expect(found).toMatchObject({ classes: ["a", "b"], skipped: [] });
  });

  test("with names in CP437, which is said, and in UTF-8 without a word", async () => {
    const cp437 = Buffer.from("caf\x82/1.png", "latin1");
    const found = await opened(
      zip([
        [cp437, red!],
        [text("été/2.png"), green!],
      ]),
      "x.zip",
    );
    expect(found.classes).toEqual(["café", "été"]);
    expect(found.notes).toEqual(["names that are not in UTF-8 were read as CP437, such as café/1.png"]);
    expect((await opened(zip([[text("e\u0301te\u0301/2.png"), green!]]), "x.zip")).classes).toEqual(["\u00e9t\u00e9"]);
  });

  test("behind a program that unpacks them", async () => {
    const archive = Buffer.concat([text("#!/bin/sh\nexit\n"), rawZip([["a/1.png", red!]])]);
    expect((await opened({ "x.zip": archive }, "x.zip")).classes).toEqual(["a"]);
  });

  test("with paths, archives and names that are refused", async () => {
    const found = await opened(
      zip([
        ["a/1.png", red!],
        ["a/../../b/2.png", red!],
        ["C:/c/3.png", red!],
        ["inner.zip", zipSync({ "d/4.png": red! })],
      ]),
      "x.zip",
    );
    expect(found.classes).toEqual(["a"]);
    expect(found.skipped.map(({ path }) => path)).toEqual(["a/../../b/2.png", "C:/c/3.png", "inner.zip"]);
    expect(
      await refusal(
        zip([
          ["a/1.png", red!],
          ["a\\1.png", green!],
        ]),
        "x.zip",
      ),
    ).toMatch(/x.zip: "a\/1.png" and "a\\1.png" are both named a\/1.png/);
    expect(
      await refusal(
        zip([
          ["a/1.png", red!],
          ["a/1.png", green!],
        ]),
        "x.zip",
      ),
    ).toMatch(/names "a\/1.png" twice/);
  });

  test("that are encrypted or packed otherwise", async () => {
    expect(await refusal(zip([["a/1.png", red!]], { flags: 1 }), "x.zip")).toMatch(
      /a\/1.png" is encrypted; unpack the archive/,
    );
    expect(await refusal(zip([["a/1.png", red!]], { method: 12 }), "x.zip")).toMatch(
      /packed by bzip2, which is not read/,
    );
  });
});

describe("files that are not read are named, with what to do", () => {
  const start = (values: string, length = 600) =>
    Buffer.concat([Buffer.from(values, "latin1"), Buffer.alloc(length, 120)]);
  test.each([
    ["7z", start("7z\xbc\xaf\x27\x1c"), /a 7z archive, which is not read; unpack it \(7z x\)/],
    ["rar", start("Rar!\x1a\x07\0"), /a rar archive/],
    ["tar.zst", start("\x28\xb5\x2f\xfd"), /packed by zstd.*tar --zstd -xf/],
    ["tar.xz", start("\xfd7zXZ\0"), /packed by xz/],
    ["tar.bz2", start("BZh9"), /packed by bzip2/],
    ["h5", start("\x89HDF\r\n\x1a\n"), /an HDF5 file, .*h5py/],
    ["mat", start("MATLAB 5.0 MAT-file"), /a MATLAB file/],
    ["mdb", start(`${"\0".repeat(16)}\xde\xc0\xef\xbe`), /an LMDB data base/],
    ["tfrecord", start("\x21\x01\0\0\0\0\0\0\x11\x22\x33\x44\x0a\x9e"), /a TFRecord file/],
    ["pkl", start("\x80\x04\x95"), /a pickle of Python, .*binary version/],
    ["zip", start("Rar!\x1a\x07\0"), /a rar archive/],
    ["png", start("<!doctype html>"), /a web page/],
    ["mp4", start("\0\0\0\x20ftypisom"), /a film, .*ffmpeg/],
    ["jpg", Buffer.alloc(0), /the file is empty \(0 bytes\)/],
  ])("%s", async (extension, bytes, message) => {
    const name = `x.${extension}`;
    const said = await refusal({ [name]: bytes }, name, { loose: true });
    expect(said).toMatch(message);
    expect(said).toContain(`/${name}: `);
    expect(await refusal({ [`data/${name.replace(/jpg|png/, "dat")}`]: bytes })).toMatch(message);
  });
});

test("a gzipped tar leaves nothing behind", async () => {
  const folder = await folderOf({ "tmp/keep": text("x"), "x.tgz": gzipSync(tar({ "a/1.png": red! })) });
  const before = process.env.TMPDIR;
  process.env.TMPDIR = join(folder, "tmp");
  try {
    await open(join(folder, "x.tgz"));
    await rm(join(folder, "tmp", "keep"));
    const { readdir } = await import("node:fs/promises");
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
});
