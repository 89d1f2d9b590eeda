import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { noise } from "../data/make.ts";

const ascii = (text: string): Buffer => Buffer.from(text, "latin1");
const refusal = async (bytes: Uint8Array, options = {}): Promise<string> => {
  const error: unknown = await decodeImage(bytes, { name: "a/1", ...options }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(DataError);
  const { message } = error as DataError;
  expect(message).toMatch(/^a\/1: [^\n]+$/);
  return message;
};

describe("PNM", () => {
  const grey = (data: number[]) => ({ width: 3, height: 2, channels: 1, data: Uint8Array.from(data) });
  const cases: [string, Uint8Array, object][] = [
    ["P1, bits as text, digits side by side", ascii("P1 # bits\n3 2\n0 1 0\n111"), grey([255, 0, 255, 0, 0, 0])],
    ["P2, a maximum of its own", ascii("P2\n3 2\n4\n0 1 2 3 4 0"), grey([0, 64, 128, 191, 255, 0])],
    [
      "P4, rows begin at bytes",
      Buffer.concat([ascii("P4\n3 2\n"), Uint8Array.of(0b01000000, 0b11100000)]),
      grey([255, 0, 255, 0, 0, 0]),
    ],
    ["P5", Buffer.concat([ascii("P5\n#x\n3 2 255\n"), Uint8Array.of(1, 2, 3, 10, 35, 6)]), grey([1, 2, 3, 10, 35, 6])],
    [
      "P5 of 16 bits",
      Buffer.concat([ascii("P5 3 2 65535\n"), Uint8Array.of(0, 0, 255, 255, 128, 128, 1, 1, 2, 2, 3, 3)]),
      grey([0, 255, 128, 1, 2, 3]),
    ],
    ["P3", ascii("P3 1 1 255 7 8 9"), { width: 1, height: 1, channels: 3, data: Uint8Array.of(7, 8, 9) }],
    [
      "P6",
      Buffer.concat([ascii("P6 1 1 255\n"), Uint8Array.of(7, 8, 9)]),
      { width: 1, height: 1, channels: 3, data: Uint8Array.of(7, 8, 9) },
    ],
  ];
  test.each(cases)("%s", async (_, bytes, image) => {
    expect(await decodeImage(bytes)).toEqual(image);
  });

  test("that is damaged", async () => {
    expect(await refusal(ascii("P5 3 2 255\nabc"))).toMatch(/6 bytes of pixels were expected but there are 3/);
    expect(await refusal(ascii("P5 3 0 255\nabc"))).toMatch(/header of a PNM picture \(P5\) is damaged/);
    expect(await refusal(ascii("P6 99999 99999 255\nabc"))).toMatch(/damaged/);
    expect(await refusal(ascii("P2 1 1 255\n300"))).toMatch(/300 but it says that they reach 255/);
  });
});

describe("BMP", () => {
  /** A BMP of Windows 3; `pixels` are its rows, from below, padded to 4 bytes. */
  const bmp = (
    width: number,
    height: number,
    bits: number,
    pixels: number[],
    { table = [] as number[], compression = 0 } = {},
  ) => {
    const bytes = Buffer.alloc(54 + table.length + pixels.length);
    bytes.write("BM", "latin1");
    bytes.writeUInt32LE(bytes.length, 2);
    bytes.writeUInt32LE(54 + table.length, 10);
    bytes.writeUInt32LE(40, 14);
    bytes.writeInt32LE(width, 18);
    bytes.writeInt32LE(height, 22);
    bytes.writeUInt16LE(1, 26);
    bytes.writeUInt16LE(bits, 28);
    bytes.writeUInt32LE(compression, 30);
    bytes.set(table, 54);
    bytes.set(pixels, 54 + table.length);
    return bytes;
  };
  const red = [255, 0, 0];
  const blue = [0, 0, 255];
  const table = [0, 0, 255, 0, 255, 0, 0, 0]; // red, blue, as blue, green, red
  const pixels = (...colours: number[][]) => Uint8Array.from(colours.flat());
  test.each([
    ["24 bits, from below", bmp(1, 2, 24, [255, 0, 0, 0, 0, 0, 255, 0])],
    ["24 bits, from above", bmp(1, -2, 24, [0, 0, 255, 0, 255, 0, 0, 0])],
    ["32 bits", bmp(1, 2, 32, [255, 0, 0, 0, 0, 0, 255, 0])],
    ["16 bits", bmp(1, 2, 16, [0x1f, 0, 0, 0, 0, 0x7c, 0, 0])],
    ["8 bits", bmp(1, 2, 8, [1, 0, 0, 0, 0, 0, 0, 0], { table })],
    ["4 bits", bmp(1, 2, 4, [0x10, 0, 0, 0, 0, 0, 0, 0], { table })],
    ["1 bit", bmp(1, 2, 1, [0x80, 0, 0, 0, 0, 0, 0, 0], { table })],
    [
      "5, 6, 5 bits",
      bmp(1, 2, 16, [0x1f, 0, 0, 0, 0, 0xf8, 0, 0], {
        table: [0, 0xf8, 0, 0, 0xe0, 7, 0, 0, 0x1f, 0, 0, 0],
        compression: 3,
      }),
    ],
  ])("%s", async (_, bytes) => {
    expect(await decodeImage(bytes)).toEqual({ width: 1, height: 2, channels: 3, data: pixels(red, blue) });
  });

  test("that is packed or damaged", async () => {
    expect(await refusal(bmp(1, 2, 8, [1], { compression: 1 }))).toMatch(
      /packed by run lengths is not read; save it as PNG/,
    );
    expect(await refusal(bmp(9, 9, 24, [1]))).toMatch(/306 bytes were expected but there are 55; is the file whole\?/);
    expect(await refusal(bmp(1, 2, 7, [1]))).toMatch(/header of a BMP picture is damaged: 1x2, 7 bits/);
    expect(await refusal(bmp(1, 1, 8, [9, 0, 0, 0], { table }))).toMatch(/names colour 9 but its table has 2/);
  });
});

describe("TIFF of other numbers than bytes", () => {
  const tiff = (values: number[], depth: "float" | "short" = "float") => {
    const elements = depth === "float" ? Float32Array.from(values) : Int16Array.from(values);
    return tiffOf(new Uint8Array(elements.buffer), depth, values.length);
  };
  /** One strip of grey values, little-endian. */
  const tiffOf = (content: Uint8Array, depth: "float" | "short", width: number) => {
    const bits = depth === "short" ? 16 : 32;
    const tags = [
      [256, width],
      [257, 1],
      [258, bits],
      [259, 1],
      [262, 1],
      [273, 8],
      [277, 1],
      [278, 1],
      [279, content.length],
      [339, depth === "float" ? 3 : 2],
    ] as const;
    const bytes = Buffer.alloc(8 + content.length + 2 + 12 * tags.length + 4);
    bytes.set([0x49, 0x49, 42, 0]);
    bytes.writeUInt32LE(8 + content.length, 4);
    bytes.set(content, 8);
    bytes.writeUInt16LE(tags.length, 8 + content.length);
    for (const [i, [tag, value]] of tags.entries()) {
      const at = 10 + content.length + 12 * i;
      bytes.writeUInt16LE(tag, at);
      bytes.writeUInt16LE(4, at + 2);
      bytes.writeUInt32LE(1, at + 4);
      bytes.writeUInt32LE(value, at + 8);
    }
    return bytes;
  };

  test("is scaled from 0 ... 1, or from the range that is told", async () => {
    expect([...(await decodeImage(tiff([0, 0.25, 0.5, 1]))).data]).toEqual([0, 64, 128, 255]);
    expect([...(await decodeImage(tiff([0, 1, 200, 255]), { range: "0..255" })).data]).toEqual([0, 1, 200, 255]);
    expect([...(await decodeImage(tiff([-1, 0, 1, 0.5]), { range: "-1..1" })).data]).toEqual([0, 128, 255, 191]);
  });

  test("is refused where its values lie elsewhere", async () => {
    expect(await refusal(tiff([0, 4095]))).toBe(
      "a/1: values in 0..1 were expected but they are 0 to 4095; give their range (--range), or save it with 8 or 16 bits",
    );
    expect(await refusal(tiff([-1, 1]))).toMatch(/they are -1 to 1; give their range/);
    expect(await refusal(tiff([0, 2]), { range: "0..1" })).toMatch(/expected values in 0..1 but they are 0 to 2/);
    expect(await refusal(tiff([0, Number.NaN]))).toMatch(/number 1 is NaN/);
    expect(await refusal(tiff([-5, 700], "short"))).toMatch(/values are of the type short, which is not read/);
  });
});

describe("pictures are told by their content", () => {
  test("whatever their name", async () => {
    for (const format of ["png", "jpeg", "webp", "gif", "tiff", "avif"] as const) {
      const bytes = await sharp({ create: { width: 16, height: 8, channels: 3, background: "#808080" } })
        .toFormat(format)
        .toBuffer();
      expect(await decodeImage(bytes, { name: "1.bmp" })).toMatchObject({ width: 16, height: 8 });
    }
  });

  const box = (...brands: string[]) =>
    Buffer.concat([Uint8Array.of(0, 0, 0, 8 + 4 * brands.length), ascii(`ftyp${brands.join("")}`), noise(40)]);
  test.each([
    ["HEIC", box("heic", "\0\0\0\0", "mif1", "heic")],
    ["HEIC", box("mif1", "\0\0\0\0", "mif1", "heix")],
    ["HEIC", box("msf1", "\0\0\0\0", "hevc")],
    ["JPEG 2000", Buffer.concat([ascii("\0\0\0\x0cjP  \r\n\x87\n"), noise(40)])],
    ["JPEG 2000", ascii("\xff\x4f\xff\x51\0\x29")],
    ["JPEG XL", ascii("\xff\x0a\x20\x20\x20")],
    ["Photoshop", ascii("8BPS\0\x01")],
    ["Windows icon", ascii("\0\0\x01\0\x01\0\x10\x10")],
  ])("a %s picture is named, with what to do", async (name, bytes) => {
    expect(await refusal(bytes)).toMatch(new RegExp(`this is a ${name} picture.*, which is not read; save it as `));
  });

  test("an AVIF picture is read, whatever other brands it has", async () => {
    const bytes = await sharp({ create: { width: 16, height: 16, channels: 3, background: "#f00" } })
      .avif()
      .toBuffer();
    expect(await decodeImage(bytes)).toMatchObject({ width: 16, channels: 3 });
  });

  test("the cause of a failure is one line", async () => {
    const whole = await sharp(noise(64 * 64 * 3), { raw: { width: 64, height: 64, channels: 3 } })
      .tiff()
      .toBuffer();
    expect(await refusal(whole.subarray(0, 3000))).toMatch(/cannot be decoded \(.*\); is it a picture\?$/);
  });
});
