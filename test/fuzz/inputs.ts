import { gzipSync } from "node:zlib";
import { binary, columnFromArray, int32, tableFromColumns, tableToIPC, utf8 } from "@uwdata/flechette";
import { unzipSync, zipSync } from "fflate";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp, { type Sharp } from "sharp";
import { crc32 } from "../../src/formats/crc32.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { readSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { tar } from "../data/make-archives.ts";
import { dictionary, storage, tensor, torchFile } from "../support/torch-file.ts";
import { type Chance, mutated, mutatedJson } from "./mutate.ts";

/** Files of one format, and how cases are made of them. */
export interface Format {
  /** The name under which cases are written. */
  readonly file: string;
  /** Whole files, which are read without a complaint. */
  readonly whole: readonly Uint8Array[];
  /** A damaged file: one that is changed as it is, or whose content is changed and then packed as it should be, so that readers get further. */
  damaged(chance: Chance): Uint8Array;
}

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const utf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Changes one of the files; of every second one `pack` mends what a reader looks at first: checksums. */
const format = (
  file: string,
  whole: readonly Uint8Array[],
  pack: (bytes: Uint8Array) => Uint8Array = (x) => x,
): Format => ({
  file,
  whole,
  damaged: (chance) => {
    const bytes = mutated(chance.one(whole), chance, chance.one(whole));
    return chance.whole(2) === 0 ? bytes : pack(bytes);
  },
});

/** Changes a file, or one of the files inside an archive. */
const archive = (
  file: string,
  contents: readonly Readonly<Record<string, Uint8Array>>[],
  pack: (files: Record<string, Uint8Array>) => Uint8Array,
  repair: (bytes: Uint8Array) => Uint8Array = (x) => x,
): Format => {
  const outer = format(
    file,
    contents.map((files) => pack({ ...files })),
    repair,
  );
  return {
    ...outer,
    damaged: (chance) => {
      if (chance.whole(3) === 0) return outer.damaged(chance);
      const files = { ...chance.one(contents) };
      const name = chance.one(Object.keys(files));
      const changed = mutated(files[name]!, chance, files[chance.one(Object.keys(files))]!);
      return pack({ ...files, [name]: changed });
    },
  };
};

/** A PNG whose chunks have the right checksums. */
function withPngChecksums(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  for (let at = 8; at + 12 <= copy.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > copy.length) break;
    view.setUint32(end, crc32(copy.subarray(at + 4, end)));
    at = end + 4;
  }
  return copy;
}

/** A tar whose headers have the right sums. */
function withTarChecksums(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (let at = 0; at + 512 <= copy.length; at += 512) {
    if (latin1("ustar").some((byte, i) => copy[at + 257 + i] !== byte)) continue;
    const sum = copy.subarray(at, at + 512).reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    copy.set(latin1(`${sum.toString(8).padStart(6, "0")}\0 `), at + 148);
  }
  return copy;
}

const pixels = (width: number, height: number, channels: 1 | 3 | 4): Uint8Array =>
  Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 37 + (i >> 3) * 11) & 255);
const picture = (width: number, height: number, channels: 1 | 3 | 4 = 3) =>
  sharp(pixels(width, height, channels), { raw: { width, height, channels } });

function bmp(width: number, height: number): Uint8Array {
  const stride = 4 * Math.ceil((width * 3) / 4);
  const bytes = new Uint8Array(54 + stride * height);
  const view = new DataView(bytes.buffer);
  bytes.set(latin1("BM"));
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  bytes.set(pixels(stride, height, 1), 54);
  return bytes;
}

/** A grey TIFF of floating-point numbers, 0 ... 1: sharp writes none. */
function floatTiff(width: number, height: number): Uint8Array {
  const entries = [
    [256, 3, width],
    [257, 3, height],
    [258, 3, 32], // bits
    [259, 3, 1], // not packed
    [262, 3, 1], // 0 is black
    [273, 4, 8], // where the pixels begin
    [277, 3, 1], // channels
    [278, 3, height], // rows of a strip
    [279, 4, 4 * width * height],
    [339, 3, 3], // floating-point numbers
  ];
  const values = Float32Array.from({ length: width * height }, (_, i) => i / (width * height));
  const bytes = new Uint8Array(8 + values.byteLength + 2 + 12 * entries.length + 4);
  const view = new DataView(bytes.buffer);
  bytes.set(latin1("II*\0"));
  bytes.set(new Uint8Array(values.buffer), 8);
  const start = 8 + values.byteLength;
  view.setUint32(4, start, true);
  view.setUint16(start, entries.length, true);
  for (const [i, [tag, type, value]] of entries.entries()) {
    const at = start + 2 + 12 * i;
    view.setUint16(at, tag!, true);
    view.setUint16(at + 2, type!, true);
    view.setUint32(at + 4, 1, true);
    view.setUint32(at + 8, value!, true);
  }
  return bytes;
}

const bytesOf = async (image: Sharp): Promise<Uint8Array> => new Uint8Array(await image.toBuffer());

/** Pictures of the formats that are read. */
export async function pictures(): Promise<Format[]> {
  const [png, grey, deep, tiny] = await Promise.all([
    bytesOf(picture(24, 20).png()),
    bytesOf(picture(9, 7, 1).toColourspace("b-w").png()),
    bytesOf(picture(12, 9, 4).png({ palette: true })),
    bytesOf(picture(5, 5).png({ progressive: true })),
  ]);
  return [
    format("x.png", [png!, grey!, deep!, tiny!], withPngChecksums),
    format("x.jpg", [
      await bytesOf(picture(24, 20).jpeg()),
      await bytesOf(picture(17, 9).withMetadata({ orientation: 6 }).jpeg({ progressive: true })),
    ]),
    format("x.gif", [await bytesOf(picture(24, 20).gif()), await bytesOf(picture(8, 8, 4).gif())]),
    format("x.webp", [await bytesOf(picture(24, 20).webp()), await bytesOf(picture(8, 9, 4).webp({ lossless: true }))]),
    format("x.tiff", [
      await bytesOf(picture(24, 20).tiff({ compression: "lzw" })),
      await bytesOf(picture(9, 9, 1).tiff({ compression: "none" })),
      await bytesOf(picture(24, 20).tiff({ compression: "deflate", tile: true, tileWidth: 16, tileHeight: 16 })),
      floatTiff(8, 6),
    ]),
    format("x.bmp", [bmp(9, 6), bmp(24, 20)]),
    format("x.ppm", [
      new Uint8Array(Buffer.concat([utf("P6\n9 6\n255\n"), pixels(9, 6, 3)])),
      new Uint8Array(Buffer.concat([utf("P5 # grey\n9 6 65535\n"), pixels(18, 6, 1)])),
      utf(`P3\n3 2\n255\n${Array.from(pixels(3, 2, 3)).join(" ")}\n`),
      new Uint8Array(Buffer.concat([utf("P4\n20 4\n"), pixels(3, 4, 1)])),
    ]),
  ];
}

const small = async () => ({ a: await bytesOf(picture(6, 6).png()), b: await bytesOf(picture(6, 6).negate().png()) });

/** Archives of images and labels. */
export async function archives(): Promise<{ zips: Format[]; tars: Format[] }> {
  const { a, b } = await small();
  const json = utf(JSON.stringify({ labels: [["0/a.png", 1], ["0/b.png", 0]] })); // biome-ignore format: one line
  const folders = { "cat/a.png": a, "dog/b.png": b };
  const contents = [
    folders,
    { "0/a.png": a, "0/b.png": b, "dataset.json": json },
    { "a.png": a, "b.png": b, "metadata.csv": utf("file_name,label\na.png,cat\nb.png,dog\n") },
    {
      "a.png": a,
      "b.png": b,
      "metadata.jsonl": utf('{"file_name":"a.png","label":3}\n{"file_name":"b.png","label":7}\n'),
    },
  ];
  const web = [{ "0.png": a, "0.cls": utf("3"), "1.png": b, "1.cls": utf("7") }, folders];
  return {
    zips: [archive("x.zip", contents, (files) => zipSync(files, { level: 6 }))],
    tars: [
      archive("x.tar", web, (files) => tar(files), withTarChecksums),
      archive("x.tgz", web, (files) => new Uint8Array(gzipSync(tar(files)))),
    ],
  };
}

/** Tables of images, as the hub has them. */
export async function tables(): Promise<Format[]> {
  const { a, b } = await small();
  const features = { image: { _type: "Image" }, label: { _type: "ClassLabel", names: ["cat", "dog"] } };
  const parquet = (codec: "SNAPPY" | "UNCOMPRESSED") =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "image", data: [a, b], type: "BYTE_ARRAY" },
          { name: "label", data: [0, 1], type: "INT32" },
        ],
        codec,
        kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }],
      }),
    );
  const table = tableFromColumns({
    image: columnFromArray([a, b], binary()),
    label: columnFromArray(["ox", "ant"], utf8()),
    n: columnFromArray([1, 2], int32()),
  });
  return [
    format("x.parquet", [parquet("SNAPPY"), parquet("UNCOMPRESSED")]),
    format("x.arrow", [tableToIPC(table, { format: "file" })!, tableToIPC(table, { format: "stream" })!]),
  ];
}

/** Arrays of images and labels. */
export function arrays(): Format[] {
  const images = { dtype: "uint8", shape: [4, 5, 5, 3], data: pixels(5, 20, 3) } as const;
  const floats = {
    dtype: "float32",
    shape: [4, 1, 5, 5],
    data: Float32Array.from(pixels(5, 20, 1), (v) => v / 255),
  } as const;
  const labels = { dtype: "int64", shape: [4], data: BigInt64Array.of(3n, 7n, 3n, 7n) } as const;
  const files = [
    { arr_0: images, arr_1: labels },
    { x_train: floats, y_train: labels, x_test: floats, y_test: labels },
  ].map((each) => unzipSync(writeNpz(each)));
  return [
    archive("x.npz", files, (contents) => zipSync(contents, { level: 0 })),
    format("x.npy", [files[0]!["arr_0.npy"]!]),
  ];
}

/** The start of a file in PyTorch's old format: magic number, version and system. */
const legacyStart = latin1(
  "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\0X\x0d\0\0\0little_endianq\x01\x88s.",
);

/** Checkpoints of these weights, as safetensors and in both formats of `torch.save`. */
export function checkpoints(weights: Readonly<Record<string, NDArray<"float32">>>): Format[] {
  const entries = Object.entries(weights);
  const bytes = ({ data }: NDArray<"float32">) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const strides = (shape: readonly number[]) =>
    shape.map((_, axis) => shape.slice(axis + 1).reduce((p, n) => p * n, 1));
  const object = dictionary(
    Object.fromEntries(
      entries.map(([name, { shape, data }], i) => [
        name,
        tensor(storage(String(i), data.length), 0, shape, strides(shape)),
      ]),
    ),
  );
  const storages = Object.fromEntries(entries.map(([, array], i) => [String(i), bytes(array)]));
  const files = unzipSync(torchFile(object, storages));
  const legacy = new Uint8Array(
    Buffer.concat([
      legacyStart,
      latin1(
        `\x80\x02${object}.\x80\x02](${entries.map((_, i) => `X${String.fromCharCode(String(i).length)}\0\0\0${i}`).join("")}e.`,
      ),
      ...entries.flatMap(([, array]) => [
        new Uint8Array(BigInt64Array.of(BigInt(array.data.length)).buffer),
        bytes(array),
      ]),
    ]),
  );
  const safetensors = writeSafetensors(weights, { metadata: { format: "pt" } });
  const whole = format("x.safetensors", [safetensors]);
  const pickles = archive("x.pt", [files], (contents) => zipSync(contents, { level: 0 }));
  const [pickle] = Object.keys(files);
  return [
    {
      ...whole,
      damaged: (chance) => (chance.whole(2) === 0 ? whole.damaged(chance) : otherHeader(safetensors, chance)),
    },
    {
      ...pickles,
      damaged: (chance) =>
        chance.whole(3) === 0
          ? pickles.damaged(chance)
          : zipSync({ ...files, [pickle!]: mutated(files[pickle!]!, chance, legacy) }, { level: 0 }),
    },
    format("x.pth", [legacy]),
  ];
}

/** A safetensors file with another header. */
function otherHeader(bytes: Uint8Array, chance: Chance): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header: unknown = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString());
  const text = Buffer.from(JSON.stringify(mutatedJson(header, chance)) ?? "");
  const size = Buffer.from(BigUint64Array.of(BigInt(text.length)).buffer);
  return new Uint8Array(Buffer.concat([size, text, bytes.subarray(8 + length)]));
}

export const onlyFloats = (bytes: Uint8Array): Readonly<Record<string, NDArray<"float32">>> =>
  Object.fromEntries(
    Object.entries(readSafetensors(bytes).tensors).map(([name, { shape, data }]) => [name, float32(shape, data)]),
  );

/** A JSON text that is changed as a value, or as bytes. */
export const json = (
  file: string,
  values: readonly unknown[],
  pack: (text: Uint8Array) => Uint8Array = (x) => x,
): Format => ({
  file,
  whole: values.map((value) => pack(utf(JSON.stringify(value)))),
  damaged: (chance) => {
    const value = chance.one(values);
    if (chance.whole(4) === 0)
      return pack(mutated(utf(JSON.stringify(value)), chance, utf(JSON.stringify(chance.one(values)))));
    return pack(utf(JSON.stringify(mutatedJson(value, chance)) ?? ""));
  },
});
