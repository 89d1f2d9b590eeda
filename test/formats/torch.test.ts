import { readFileSync } from "node:fs";
import { unzipSync, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/errors.ts";
import { type ByteSource, bytesOf as bytesSource } from "../../src/formats/bytes.ts";
import { crc32 } from "../../src/formats/crc32.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { openTorch, readTorch } from "../../src/formats/torch.ts";
import { dictionary, storage, tensor, torchFile } from "../support/torch-file.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));
const bytesOf = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const grid = (rows: number, columns: number, at: (row: number, column: number) => number) =>
  Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns) / 8);

describe.each(["mixed.pt", "mixed_legacy.pt", "mixed_protocol4.pt"])("%s, as PyTorch wrote it", (name) => {
  const tensors = readTorch(fixture(name));
  test.each([
    ["plain.weight", [4, 6], grid(4, 6, (r, c) => r * 6 + c)],
    ["plain.bias", [2], [1.5, -2.25]], // a Parameter
    ["transposed", [6, 4], grid(6, 4, (r, c) => c * 6 + r)],
    ["window", [2, 3], grid(2, 3, (r, c) => (r + 1) * 6 + 1 + 2 * c)], // x[1:3, 1:6:2]
    ["shared", [6], grid(1, 6, (_, c) => 18 + c)], // another part of the same storage
    ["permuted", [4, 2, 3], grid(4, 6, (r, c) => c * 4 + r)],
    ["expanded", [2, 3], [1, 1, 1, 2, 2, 2]],
    ["half", [5], [0.333251953125, 65504, 2 ** -24, Number.POSITIVE_INFINITY, -0]],
    ["bfloat16", [3], [0.333984375, -3.00405527047391e38, 0]],
    ["double", [2], [Math.fround(1 / 3), Math.fround(1e-3)]],
    ["long", [2], [-5, 7]],
    ["int", [2], [-5, 7]],
    ["short", [2], [-5, 7]],
    ["char", [2], [-5, 7]],
    ["byte", [2], [250, 7]],
    ["bool", [2], [1, 0]],
    ["scalar", [], [3]],
    ["empty", [0, 3], []],
  ])("%s", (key, shape, data) => {
    expect(tensors[key]).toEqual({ dtype: "float32", shape, data: Float32Array.from(data) });
  });
  test("holds nothing else", () => expect(Object.keys(tensors)).toHaveLength(18));
});

test("reads the reference's own networks", () => {
  const weights = readTorch(
    new Uint8Array(readFileSync(new URL("../../conformance/data/classifier_attention.pt", import.meta.url))),
  );
  expect(weights["time_embed.0.weight"]!.shape).toEqual([128, 32]);
  expect(Object.values(weights).every(({ data }) => data.every(Number.isFinite))).toBe(true);
});

describe("what is not a state dict is told apart", () => {
  test.each([
    ["optimizer.pt", /optimizer's state, not weights; give the file of the model/],
    ["module.pt", /holds "torch.nn.modules.linear.Linear", of which nothing is executed/],
    ["numpy.npz", /not one that torch.save wrote/],
    ["mixed.safetensors", /neither a zip nor a pickle/],
  ])("%s", (name, message) => {
    expect(() => readTorch(fixture(name), name)).toThrow(message);
    expect(() => readTorch(fixture(name), name)).toThrow(ModelError);
  });
});

describe("a checkpoint that holds more than weights", () => {
  const two = (a: string, b: string) => {
    const weights = (key: string) => dictionary({ w: tensor(storage(key, 1), 0, [1], [1]) });
    const storages = { 0: new Uint8Array(Float32Array.of(5).buffer), 1: new Uint8Array(Float32Array.of(7).buffer) };
    return bytesSource(torchFile(dictionary({ step: "K\x03", [a]: weights("0"), [b]: weights("1") }), storages));
  };
  test("one state dict among other things is found", () => {
    expect(readTorch(fixture("nested.pt"))).toEqual(readTorch(fixture("linear.pt")));
  });
  test("of several, one is asked for", () => {
    expect(() => openTorch(two("model", "ema"), "f.pt")).toThrow(
      "f.pt: holds several state dicts: model, ema; say which one is meant (--entry NAME)",
    );
    expect(openTorch(two("model", "ema"), "f.pt", { entry: "ema" }).w!.read().data).toEqual(Float32Array.of(7));
    expect(() => openTorch(two("model", "ema"), "f.pt", { entry: "step" })).toThrow(/"step".*there are: model, ema/);
  });
  test("none, or nothing", () => {
    expect(() => readTorch(torchFile(dictionary({ step: "K\x03" })))).toThrow(
      /"step" is not a tensor.*torch\.save\(model/,
    );
    expect(() => readTorch(torchFile("}"))).toThrow("it is empty");
  });
});

/** A file of each format around a pickle of our own making. */
const zipWith = (pickle: string) => zipSync({ "x/data.pkl": bytesOf(pickle) }, { level: 0 });
const legacyWith = (pickle: string) => {
  const whole = fixture("mixed_legacy.pt");
  const start = String.fromCharCode(...whole).indexOf("\x80\x02ccollections");
  return Uint8Array.from([...whole.subarray(0, start), ...bytesOf(pickle)]);
};

/** A tuple of one tuple twice, forty deep: small as a pickle, as a text of 2 ** 40 numbers. */
const endless = `K\x07${Array.from({ length: 40 }, (_, i) => `q${String.fromCharCode(i)}h${String.fromCharCode(i)}\x86`).join("")}`;
const weights = dictionary({ w: tensor(storage("0", 1), 0, [1], [1]) });
/** The pickle after the object's, in the old format. */
const noStorages = "\x80\x02].";

describe("a malicious pickle is executed in no part, and refused by name", () => {
  const command = "X\x05\0\0\0touch";
  const stored = "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ";
  test.each([
    ["a call of os.system", `\x80\x02cposix\nsystem\n${command}\x85R.`, /"posix.system"/],
    ["eval inside a state dict", `\x80\x02}X\x01\0\0\0acbuiltins\neval\n${command}\x85Rs.`, /"builtins.eval"/],
    ["a global from the stack", `\x80\x04\x8c\x05posix\x8c\x06system\x93${command}\x85R.`, /"posix.system"/],
    ["a global of torch that calls", `\x80\x02ctorch.hub\nload\n${command}\x85R.`, /"torch.hub.load"/],
    ["INST", "\x80\x02(S'touch'\niposix\nsystem\n.", /"posix.system"/],
    ["INST without text", `\x80\x02(${command}iposix\nsystem\n.`, /"posix.system"/],
    ["OBJ", `\x80\x02(cposix\nsystem\n${command}o.`, /"posix.system"/],
    ["OBJ of a text", `\x80\x02(${command}o.`, /calls something that is not a function/],
    ["NEWOBJ", `\x80\x02cposix\nsystem\n${command}\x85\x81.`, /"posix.system"/],
    ["NEWOBJ_EX", `\x80\x04cposix\nsystem\n${command}\x85}\x92.`, /"posix.system"/],
    ["NEWOBJ of a dictionary", "\x80\x02ccollections\nOrderedDict\n)\x81.", /it is empty/],
    ["EXT1", "\x80\x02\x82\x01.", /opcode 0x82 is not known/],
    [
      "BUILD on a tensor",
      `\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(${stored}K\0))\x89}tR}b.`,
      /expected a state dict \(names and tensors\), but it holds one tensor/,
    ],
    ["attributes of an object that is called", `\x80\x02cbuiltins\nexec\n${command}\x85R}b.`, /"builtins.exec"/],
    ["a class of classes", `\x80\x02cbuiltins\ngetattr\n${command}\x85R)R.`, /"builtins.getattr"/],
    ["a call of a storage class", "\x80\x02ctorch\nFloatStorage\n)R.", /calls something that is not a function/],
    ["an unknown opcode", "\x80\x02\xff.", /opcode 0xff is not known/],
    ["a foreign persistent id", "\x80\x02X\x06\0\0\0moduleQ.", /not a tensor's storage", of which nothing is executed/],
    ["a protocol to come", "\x80\x06}.", /pickle protocol 6 is unknown/],
    ["endless text as a global", `\x80\x04${endless}K\x01\x93.`, /the name of a global is no text/],
    [
      "endless text as a persistent id",
      `\x80\x02${endless}Q.`,
      /not a tensor's storage", of which nothing is executed/,
    ],
    ["endless text as a name", `\x80\x02}${endless}K\x01s.${noStorages}`, /"something else" is not a tensor/],
    [
      "endless text as an entry",
      `\x80\x02}${endless}${weights}sX\x03\0\0\0ema${weights}s.${noStorages}`,
      /several state dicts: something else, ema;/,
    ],
  ])("%s", (_, pickle, message) => {
    for (const bytes of [zipWith(pickle), legacyWith(pickle)]) {
      expect(() => readTorch(bytes, "evil.pt")).toThrow(message);
      expect(() => readTorch(bytes)).toThrow(ModelError);
    }
  });

  test("endless text where the old format has its version, or the name of a storage", () => {
    const magic = fixture("mixed_legacy.pt").subarray(0, 15);
    expect(() => readTorch(Uint8Array.from([...magic, ...bytesOf(`\x80\x02${endless}.`)]))).toThrow(
      "format version something else, expected 1001",
    );
    expect(() => readTorch(legacyWith(`\x80\x02${weights}.\x80\x02]${endless}a.`))).toThrow(
      "storage something else belongs to no tensor",
    );
  });

  test("a bare pickle", () =>
    expect(() => readTorch(bytesOf("\x80\x02cposix\nsystem\n.X.."))).toThrow(/"posix.system"/));

  test.each([
    ["a window beyond its storage", 4, 1, [4], [1], "offset 1: reaches beyond its storage of 4 elements"],
    ["strides beyond it", 4, 0, [2, 2], [1, 3], "reaches beyond its storage of 4 elements"],
    ["a million million elements of one", 4, 0, [1e6, 1e6], [0, 0], "more elements than the whole file has bytes"],
    ["so many that their number overflows", 4, 0, [2 ** 52, 2 ** 52, 2 ** 52], [0, 0, 0], "more elements than the"],
    ["a storage that the file does not have", 9, 0, [9], [1], "expected a storage of 9 elements but found 4"],
  ])("a tensor that claims too much: %s", (_, count, offset, shape, strides, message) => {
    const pickle = dictionary({ "in.weight": tensor(storage("0", count), offset, shape, strides) });
    const bytes = torchFile(pickle, { 0: new Uint8Array(16) });
    expect(() => openTorch(bytesSource(bytes), "f.pt")).toThrow(ModelError);
    expect(() => openTorch(bytesSource(bytes), "f.pt")).toThrow(`f.pt: tensor "in.weight": `);
    expect(() => openTorch(bytesSource(bytes), "f.pt")).toThrow(message);
  });
});

describe("storages that tensors share", () => {
  const count = 3 * 2 ** 20;
  const values = Float32Array.from({ length: count }, (_, i) => i % 1000);
  // Buffers compare faster than vitest does.
  const raw = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
  const windows = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [`w${i}`, tensor(storage("0", count), (i * count) / 12, [count / 12], [1])]),
  );
  test.each([0, 6] as const)("are read once, and once to check them (deflate level %i)", (level) => {
    const bytes = torchFile(dictionary(windows), { 0: new Uint8Array(values.buffer) }, level);
    let bytesRead = 0;
    const source: ByteSource = {
      size: bytes.length,
      read(offset, length) {
        bytesRead += length;
        return bytes.slice(offset, offset + length);
      },
    };
    const tensors = openTorch(source);
    for (let i = 0; i < 12; i++) {
      const window = values.subarray((i * count) / 12, ((i + 1) * count) / 12);
      expect(raw(tensors[`w${i}`]!.read().data).equals(raw(window))).toBe(true);
    }
    expect(bytesRead).toBeLessThan(2.2 * bytes.length);
  });

  test("parts are the whole, in pieces", () => {
    const bytes = torchFile(
      dictionary({
        all: tensor(storage("0", count), 0, [count], [1]),
        steps: tensor(storage("0", count), 1, [count / 2], [2]),
      }),
      { 0: new Uint8Array(values.buffer) },
    );
    const { all, steps } = openTorch(bytesSource(bytes));
    const joined = (parts: Iterable<Float32Array>) => Buffer.concat(Array.from(parts, raw));
    expect(Array.from(all!.parts()).length).toBeGreaterThan(4);
    expect(joined(all!.parts()).equals(raw(values))).toBe(true);
    expect(joined(steps!.parts()).equals(raw(values.filter((_, i) => i % 2 === 1)))).toBe(true);
  });

  test("damage in the part that is not asked for is found too", () => {
    const bytes = torchFile(dictionary(windows), { 0: new Uint8Array(values.buffer) });
    bytes[bytes.length - 1e6]! ^= 1;
    expect(() => openTorch(bytesSource(bytes)).w0!.read()).toThrow("checksum");
  });
});

describe("damage", () => {
  test("a storage that is missing, or of another size", () => {
    const files = unzipSync(fixture("linear.pt"));
    const { "linear/data/0": weight, ...rest } = files;
    expect(weight).toHaveLength(8);
    expect(() => readTorch(zipSync(rest))).toThrow(/tensor "weight": expected a storage of 2 elements but found 0/);
    expect(() => readTorch(zipSync({ ...files, "linear/data/0": new Uint8Array(4) }))).toThrow(
      /tensor "weight": expected a storage of 2 elements but found 1/,
    );
    expect(readTorch(zipSync(files))).toEqual(readTorch(fixture("linear.pt"))); // deflated
  });

  test("a big-endian machine's file", () => {
    const files = { ...unzipSync(fixture("linear.pt")), "linear/byteorder": bytesOf("big") };
    expect(() => readTorch(zipSync(files))).toThrow(/big-endian/);
  });

  test.each(["linear.pt", "mixed_legacy.pt"])("%s: whatever byte is damaged, it is a ModelError or nothing", (name) => {
    const whole = fixture(name);
    for (let at = 0; at < whole.length; at++)
      for (const bytes of [whole.subarray(0, at), whole.with(at, whole[at]! ^ 0xff), whole.with(at, whole[at]! ^ 1)])
        try {
          readTorch(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError);
        }
  });
});

/** Entries of a stored zip64 archive laid out at `offset`s of a file that exists only where it is written. */
function zip64(entries: readonly { name: string; content: Uint8Array; offset: number }[]): ByteSource {
  const u = (width: 2 | 4 | 8, ...values: number[]) => {
    const view = new DataView(new ArrayBuffer(width * values.length));
    for (const [i, value] of values.entries())
      if (width === 8) view.setBigUint64(i * 8, BigInt(value), true);
      else if (width === 4) view.setUint32(i * 4, value, true);
      else view.setUint16(i * 2, value, true);
    return [...new Uint8Array(view.buffer)];
  };
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  const directory: number[] = [];
  for (const { name, content, offset } of entries) {
    const encoded = [...bytesOf(name)];
    const check = u(4, crc32(content));
    const local = [
      ...u(4, 0x04034b50),
      ...u(2, 45, 0, 0, 0, 0),
      ...check,
      ...u(4, 0xffffffff, 0xffffffff),
      ...u(2, encoded.length, 0),
    ];
    parts.push({ offset, bytes: Uint8Array.from([...local, ...encoded, ...content]) });
    const extra = [...u(2, 1, 24), ...u(8, content.length, content.length, offset)];
    directory.push(...u(4, 0x02014b50), ...u(2, 45, 45, 0, 0, 0, 0), ...check, ...u(4, 0xffffffff, 0xffffffff));
    directory.push(...u(2, encoded.length, extra.length, 0, 0, 0), ...u(4, 0, 0xffffffff), ...encoded, ...extra);
  }
  const start = 6 * 2 ** 30;
  const end64 = start + directory.length;
  const end = [
    ...u(4, 0x06064b50),
    ...u(8, 44),
    ...u(2, 45, 45),
    ...u(4, 0, 0),
    ...u(8, entries.length, entries.length, directory.length, start),
  ];
  const locator = [...u(4, 0x07064b50, 0), ...u(8, end64), ...u(4, 1)];
  const old = [...u(4, 0x06054b50), ...u(2, 0, 0, 0xffff, 0xffff), ...u(4, 0xffffffff, 0xffffffff), ...u(2, 0)];
  parts.push({ offset: start, bytes: Uint8Array.from([...directory, ...end, ...locator, ...old]) });
  return {
    size: start + directory.length + end.length + locator.length + old.length,
    read(offset, length) {
      const out = new Uint8Array(length);
      for (const part of parts) {
        const from = Math.max(offset, part.offset);
        const to = Math.min(offset + length, part.offset + part.bytes.length);
        if (from < to) out.set(part.bytes.subarray(from - part.offset, to - part.offset), from - offset);
      }
      return out;
    },
  };
}

test("files beyond 4 GB (zip64) are read tensor by tensor", () => {
  const files = unzipSync(fixture("linear.pt"));
  const entries = Object.entries(files).map(([name, content], i) => ({ name, content, offset: i * 1.5 * 2 ** 30 }));
  const tensors = openTorch(zip64(entries));
  expect(tensors.weight!.shape).toEqual([1, 2]);
  expect(tensors.weight!.read()).toEqual(readTorch(fixture("linear.pt")).weight);
});

describe("values of other classes beside weights are read around", () => {
  const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
  const ones = { 0: new Uint8Array(Float32Array.of(5).buffer) };
  const dict = (entries: Readonly<Record<string, string>>) =>
    `}(${Object.entries(entries)
      .map(([key, value]) => text(key) + value)
      .join("")}u`;
  const beside: Readonly<Record<string, string>> = {
    "argparse.Namespace": `cargparse\nNamespace\n)\x81${dict({ image_size: "K\x40", lr: text("1e-4") })}b`,
    "a numpy scalar": `cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(${text("f8")}K\0K\x01tR(K\x03${text("<")}NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbC\x08\0\0\0\0\0\0\xf0\x3ftR`,
    "a numpy array": `cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01K\x02\x85NK\0C\x02\x01\x02tb`,
    "torch.Size": `ctorch\nSize\n(K\x03K\x04t\x85R`,
    "a dtype": "ctorch\nfloat32\n",
    "a device": `ctorch\ndevice\n${text("cpu")}\x85R`,
    "a path": `cpathlib\nPosixPath\n(${text("/")}${text("data")}tR`,
    "a time": "cdatetime\ndatetime\nC\x0a\x07\xe8\x01\x01\0\0\0\0\0\0\x85R",
    "a set": "\x8f(K\x01K\x02\x90",
    "a frozen set": `cbuiltins\nfrozenset\n]K\x01a\x85R`,
    "a dictionary of configs": `comegaconf.dictconfig\nDictConfig\n)\x81}${text("a")}K\x01sb`,
    "a long integer": `\x8b\x00\x02\x00\x00${"\x7f".repeat(512)}`,
    "a defaultdict": `ccollections\ndefaultdict\ncbuiltins\nint\n\x85R${text("a")}K\x01s`,
    "a function": "cmy.module\nactivation\n",
  };
  const whole = tensor(storage("0", 1), 0, [1], [1]);
  test.each(Object.entries(beside))("%s", (_, value) => {
    for (const pickle of [
      dict({ args: value, model: dict({ w: whole }), step: "K\x01" }),
      dict({ w: whole, args: value }),
    ])
      expect(readTorch(torchFile(pickle, ones))).toEqual({
        w: { dtype: "float32", shape: [1], data: Float32Array.of(5) },
      });
  });

  test.each([
    ["a quantized tensor", `ctorch._utils\n_rebuild_qtensor\n)R`, "torch._utils._rebuild_qtensor"],
    ["complex numbers", tensor(storage("1", 1, "ComplexFloatStorage"), 0, [1], [1]), "torch.ComplexFloatStorage"],
    ["a class of one's own", "cmy\nWeight\n)R", "my.Weight"],
  ])("but where the weights themselves are of one, it is named: %s", (_, value, name) => {
    const bytes = torchFile(dict({ "in.weight": value, w: whole }), ones);
    expect(() => readTorch(bytes, "f.pt")).toThrow(`f.pt: tensor "in.weight" is of "`);
    expect(() => readTorch(bytes, "f.pt")).toThrow(name);
  });

  test("protocols 0 and 1, which are text", () => {
    const old = `(dp0\nS'step'\np1\nI5\nsS'long'\np2\nL123L\nsS'real'\nF1.5\nsS'yes'\nI01\nsVw\n${whole}s(lp3\nI1\na0`;
    expect(readTorch(torchFile(old, ones)).w!.data).toEqual(Float32Array.of(5));
  });
});

test.each([
  [
    "a git-lfs pointer",
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "run `git lfs pull`",
  ],
  ["a web page", "<!DOCTYPE html>\n<html><head><title>Sign in</title>", "this is a web page"],
  [
    "a web page of another kind",
    '\n<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "this is a web page",
  ],
  ["an empty file", "", "the file is empty (0 bytes)"],
  ["gzip", "\x1f\x8b\x08\0\0\0\0\0", "this is a gzip file"],
  ["a tar", `${"weights.pt".padEnd(257, "\0")}ustar\x0000`, "this is a tar archive"],
  ["HDF5", "\x89HDF\r\n\x1a\n", "this is an HDF5 file"],
  ["a JSON text", '{"_class_name": "UNet2DModel"}', "this is a JSON text"],
  ["zeros", "\0".repeat(1000), "a download that was not finished"],
])("%s is called by its name, by both readers", (_, content, message) => {
  for (const read of [readTorch, readSafetensors])
    expect(() => read(bytesOf(content), "f.ckpt")).toThrow(`f.ckpt: ${message.startsWith("this") ? message : ""}`);
  for (const read of [readTorch, readSafetensors]) expect(() => read(bytesOf(content), "f.ckpt")).toThrow(message);
});
