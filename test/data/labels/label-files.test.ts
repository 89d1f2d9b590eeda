import { join } from "node:path";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { type Dataset, openDataset } from "../../../src/data/dataset.ts";
import { DataError } from "../../../src/errors.ts";
import { folderOf, plain } from "../make.ts";

const text = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
/** Pictures, and files of text. */
const set = async (paths: readonly string[], texts: Readonly<Record<string, unknown>>) => {
  const image = await plain("#777");
  return {
    ...Object.fromEntries(paths.map((path) => [path, new Uint8Array(image)])),
    ...Object.fromEntries(Object.entries(texts).map(([path, value]) => [path, text(value)])),
  };
};
const open = async (files: Record<string, Uint8Array>, options = {}) =>
  openDataset(await folderOf(files), { cache: false, ...options });
const namesOf = ({ classes, train }: Dataset, split = train) =>
  Array.from(split.labels, (label) => classes[label]).join(" ");
const refused = async (files: Record<string, Uint8Array>, message: RegExp, options = {}) => {
  const opened = open(files, options);
  await expect(opened).rejects.toThrow(message);
  await expect(opened).rejects.toBeInstanceOf(DataError);
};

const shards = ["00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png"];

describe("dataset.json", () => {
  const labels = [
    [shards[0], 3],
    [shards[1], 7],
    [shards[2], 3],
  ];
  test("has the labels, in folders and zips, and shards are no classes", async () => {
    const files = await set(shards, { "dataset.json": { labels } });
    const zip = join(await folderOf({ "edm.zip": zipSync(files) }), "edm.zip");
    for (const found of [await open(files), await openDataset(zip, { cache: false, strict: true })]) {
      expect(found).toMatchObject({ classes: ["3", "7"], labelsFrom: "dataset.json", layout: "labelled images" });
      expect(namesOf(found)).toBe("3 7 3");
    }
  });

  test("may be one-hot, wrapped, and of Windows", async () => {
    const hot = labels.map(([path, label]) => [String(path).replace("/", "\\"), label === 3 ? [0, 1] : [1.0, 0.0]]);
    expect(
      namesOf(
        await open(
          await set(
            shards.map((path) => `x/${path}`),
            { "x/dataset.json": { labels: hot } },
          ),
        ),
      ),
    ).toBe("1 0 1");
  });

  test("of null says that there are no labels", async () => {
    const found = await open(await set(shards, { "dataset.json": { labels: null } }));
    expect(found).toMatchObject({ classes: [], labelsFrom: undefined, layout: "images without labels" });
    expect(found.train.count).toBe(3);
  });

  test("missing beside shards leaves no labels", async () => {
    await refused(await set(shards, {}), /no labels: 3 images/);
  });

  test("that fits the files badly is said", async () => {
    const some = await open(
      await set(shards, { "dataset.json": { labels: [...labels.slice(1), ["00002/gone.png", 1]] } }),
    );
    expect(namesOf(some)).toBe("7 3");
    expect(some.skipped).toEqual([
      { path: shards[0], reason: "no label in dataset.json" },
      { path: "00002/gone.png", reason: "named in dataset.json but not there" },
    ]);
    await refused(
      await set(shards, { "dataset.json": { labels: [["a.png", 1]] } }),
      /none of its 1 name is .* such as a.png/,
    );
    await refused(await set(shards, { "dataset.json": '{"labels": [["0' }), /dataset.json: not JSON .* cut short/);
    await refused(await set(shards, { "dataset.json": { labels: [[shards[0], [0.5, 0.5]]] } }), /labels\[0\] is/);
    const other = await open(await set(["a/1.png", "b/1.png"], { "dataset.json": { title: "x" } }));
    expect(other).toMatchObject({ classes: ["a", "b"], notes: ['dataset.json has no "labels" and is not used'] });
  });
});

describe("metadata", () => {
  const flat = ["1.png", "2.png", "3.png", "4.png"];
  const rows = "file_name,label\n1.png,cat\n2.png,dog\n3.png,cat\n4.png,dog\n";

  test.each<[string, string[], Record<string, unknown>, string]>([
    ["metadata.csv", flat, { "metadata.csv": rows }, "metadata.csv, column label"],
    [
      "with a mark, quotes and CRLF",
      flat,
      { "metadata.csv": `\ufeff${rows.replaceAll("cat", '"cat"').replaceAll("\n", "\r\n")}` },
      "metadata.csv, column label",
    ],
    ["with semicolons", flat, { "metadata.csv": rows.replaceAll(",", ";") }, "metadata.csv, column label"],
    [
      "metadata.jsonl",
      flat,
      {
        "metadata.jsonl": flat
          .map((name, i) => JSON.stringify({ file_name: name, text: `picture ${i}`, animal: i % 2 ? "dog" : "cat" }))
          .join("\n"),
      },
      "metadata.jsonl, column animal",
    ],
    [
      "labels.csv, with names without endings",
      flat,
      { "labels.csv": "id,breed\n1,cat\n2,dog\n3,cat\n4,dog\n" },
      "labels.csv, column breed",
    ],
    [
      "beside images/",
      flat.map((name) => `images/${name}`),
      { "labels.csv": rows.replace("file_name", "image") },
      "labels.csv, column label",
    ],
    ["in UTF-16", flat, { "metadata.csv": rows }, "metadata.csv, column label"],
  ])("%s", async (name, paths, texts, from) => {
    const files = await set(paths, texts);
    if (name === "in UTF-16") files["metadata.csv"] = new Uint8Array(Buffer.from(`\ufeff${rows}`, "utf16le"));
    const found = await open(files, { strict: true });
    expect(namesOf(found)).toBe("cat dog cat dog");
    expect(found.labelsFrom).toBe(from);
  });

  test("of each split", async () => {
    const files = await set(["train/1.png", "train/2.png", "test/1.png"], {
      "train/metadata.csv": "file_name,label\n1.png,a\n2.png,b\n",
      "test/metadata.csv": "file_name,label\n1.png,b\n",
    });
    const found = await open(files);
    expect([namesOf(found), namesOf(found, found.test)]).toEqual(["a b", "b"]);
    const above = await set(["train/1.png", "train/2.png", "test/1.png"], {
      "metadata.csv": "file_name,label\ntrain/1.png,a\ntrain/2.png,b\ntest/1.png,b\n",
    });
    expect(namesOf(await open(above), (await open(above)).test)).toBe("b");
  });

  test("with several columns that may be the label asks which", async () => {
    const many =
      "file_name,colour,shape,size\n1.png,red,round,1.5\n2.png,red,flat,2.5\n3.png,blue,round,2.5\n4.png,blue,flat,1.5\n";
    const files = await set(flat, { "metadata.csv": many });
    await refused(files, /metadata.csv: which column is the label\? colour, shape may be; give --label-column NAME/);
    expect(namesOf(await open(files, { labelColumn: "Shape" }))).toBe("round flat round flat");
    await refused(files, /no column "form" for --label-column; its columns are file_name, colour, shape, size/, {
      labelColumn: "form",
    });
    await refused(files, /in the column size but row 1 has "1.5"/, { labelColumn: "size" });
  });

  test("with whole numbers that are written as others", async () => {
    const found = await open(
      await set(flat, { "labels.csv": "file,label\n1.png,0.0\n2.png,2.0\n3.png,0.0\n4.png,\n" }),
    );
    expect(namesOf(found)).toBe("0 2 0");
    expect(found.skipped).toEqual([{ path: "4.png", reason: "no label in labels.csv, column label" }]);
  });

  test("without classes leaves the folders theirs", async () => {
    const captions = "file_name,text\na/1.png,one\nb/2.png,two\n";
    const found = await open(await set(["a/1.png", "b/2.png"], { "metadata.csv": captions }));
    expect(found).toMatchObject({ classes: ["a", "b"], labelsFrom: "folder names" });
    expect(found.notes?.[0]).toMatch(/metadata.csv tells no classes \(its columns are file_name, text\)/);
  });

  test("wins over folders, unless folders are asked for", async () => {
    const files = await set(["x/1.png", "y/2.png"], { "metadata.csv": "file_name,label\nx/1.png,a\ny/2.png,b\n" });
    expect((await open(files)).classes).toEqual(["a", "b"]);
    expect((await open(files, { labels: "from-folder" })).classes).toEqual(["x", "y"]);
  });

  test("that is damaged is named", async () => {
    await refused(
      await set(flat, { "metadata.csv": 'file_name,label\n1.png,"cat\n' }),
      /metadata.csv: the quote that opens in row 2 is never closed/,
    );
    await refused(
      await set(flat, { "metadata.csv": "file_name,label\n1.png\n" }),
      /metadata.csv: expected 2 fields in row 1 but there are 1/,
    );
    await refused(
      await set(flat, { "metadata.jsonl": '{"file_name": "1.png", "label": 1}\n{"fi' }),
      /metadata.jsonl, line 2: not JSON/,
    );
    const latin = await set(flat, {});
    latin["metadata.csv"] = new Uint8Array(Buffer.from("file_name,label\n1.png,\u00e9\n", "latin1"));
    await refused(latin, /metadata.csv: expected text in UTF-8/);
  });
});

test("val_annotations.txt has the classes of val/images", async () => {
  const files = await set(
    ["train/n01/images/n01_0.JPEG", "train/n02/images/n02_0.JPEG", "val/images/val_0.JPEG", "test/images/test_0.JPEG"],
    {
      "val/val_annotations.txt": "val_0.JPEG\tn02\t0\t32\t44\t62\n",
      "wnids.txt": "n01\nn02\n",
    },
  );
  const found = await open(files);
  expect(found).toMatchObject({ classes: ["n01", "n02"], labelsFrom: "folder names and val_annotations.txt" });
  expect(namesOf(found, found.test)).toBe("n02");
  expect(found.notes).toContain("test/ is not used: its 1 image has no labels");
});

describe("names of files", () => {
  test("tell classes where that is asked for, and only there", async () => {
    const names = [
      "golden_retriever_0001.png",
      "golden_retriever_2.png",
      "cat.1.png",
      "n01440764_10026.JPEG",
      "fish7.png",
      "a (3).png",
    ];
    const files = await set(names, {});
    await refused(files, /no labels: 6 images, .*; .*--labels from-name/);
    const found = await open(files, { labels: "from-name" });
    expect(found).toMatchObject({
      classes: ["a", "cat", "fish", "golden_retriever", "n01440764"],
      labelsFrom: "the names of files",
    });
    const some = await open(await set(["dog_1.png", "0001.png", "dog.png"], {}), { labels: "from-name" });
    expect([...some.skipped].map(({ path }) => path)).toEqual(["0001.png", "dog.png"]);
  });

  test("tell none where labels are not wanted", async () => {
    const found = await open(await set(["a/1.png", "b/2.png"], { "labels.csv": "file,label\na/1.png,x\n" }), {
      labels: "none",
    });
    expect(found).toMatchObject({ classes: [], labelsFrom: undefined, train: { count: 2 } });
  });
});
