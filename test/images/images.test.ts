import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { animationGif } from "../../src/images/animation.ts";
import { decodeImage, fitImage } from "../../src/images/decode.ts";
import { grid } from "../../src/images/grid.ts";
import type { Image } from "../../src/images/image.ts";
import { planesOf, toFloat32, toUint8 } from "../../src/images/planes.ts";
import { encodePng, readPngText } from "../../src/images/png.ts";
import { shrink } from "../../src/images/shrink.ts";
import { terminalPreview } from "../../src/images/terminal.ts";
import { float32 } from "../../src/ndarray.ts";

/** A picture whose bytes differ everywhere. */
function pattern(width: number, height: number, channels: 1 | 3, seed = 1): Image {
  const data = Uint8Array.from(
    { length: width * height * channels },
    (_, i) => (Math.imul((i + seed) ** 2, 0x9e3779b1) >>> 13) & 255,
  );
  return { width, height, channels, data };
}
const solid = (width: number, height: number, ...colour: number[]): Image => ({
  width,
  height,
  channels: colour.length as 1 | 3,
  data: Uint8Array.from({ length: width * height * colour.length }, (_, i) => colour[i % colour.length]!),
});
const raw = async (bytes: Uint8Array) => {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, data: new Uint8Array(data) };
};

describe("toUint8", () => {
  test("is ((x + 1) * 127.5) clamped and truncated", () => {
    const x = [-1, 1, 0, -1.5, 1.5, 0.999, -0.9999, 0.0039, Number.NaN];
    const [image] = toUint8(float32([1, 1, 3, 3], x));
    expect(image).toEqual({
      width: 3,
      height: 3,
      channels: 1,
      data: Uint8Array.of(0, 255, 127, 0, 255, 254, 0, 127, 0),
    });
  });
  test("turns [N, C, H, W] to pictures [H, W, C], and brings back every byte", () => {
    const x = Float32Array.from({ length: 2 * 3 * 256 }, (_, i) => (i % 256) / 127.5 - 1);
    for (const image of toUint8(float32([2, 3, 16, 16], x)))
      for (let i = 0; i < 256 * 3; i++) expect(Math.abs(image.data[i]! - Math.floor(i / 3))).toBeLessThanOrEqual(1);
    const planes = toUint8(float32([1, 3, 1, 2], [-1, -1, 0, 0, 1, 1]))[0]!;
    expect([...planes.data]).toEqual([0, 127, 255, 0, 127, 255]);
  });
  test("refuses other shapes", () => {
    expect(() => toUint8(float32([1, 2, 4, 4]))).toThrow(/\[N, 1 or 3, H, W\] but \[1,2,4,4\] came/);
  });
});

describe("toFloat32", () => {
  test("gives values in [-1, 1] that become the same bytes again, each of them", () => {
    for (const channels of [1, 3] as const) {
      const images = [pattern(16, 16, channels), pattern(16, 16, channels, 2)];
      const every = {
        width: 16,
        height: 16,
        channels: 1,
        data: Uint8Array.from({ length: 256 }, (_, i) => i),
      } as const;
      const x = toFloat32(channels === 1 ? [...images, every] : images);
      expect(x.shape).toEqual([channels === 1 ? 3 : 2, channels, 16, 16]);
      expect(x.data.every((value) => value >= -1 && value <= 1)).toBe(true);
      expect(toUint8(x)).toEqual(channels === 1 ? [...images, every] : images);
    }
    const grey = toUint8(toFloat32([solid(2, 2, 255, 0, 0)], 1));
    expect(grey).toEqual([solid(2, 2, 76)]);
    expect(toFloat32([solid(1, 2, 0)], 3)).toEqual(float32([1, 3, 2, 1], new Array(6).fill(-1 + 1e-6)));
  });
  test("refuses none, and mixtures", () => {
    expect(() => toFloat32([])).toThrow(/there are no images/);
    expect(() => toFloat32([solid(2, 2, 0), solid(2, 2, 0, 0, 0)])).toThrow(/image 1 is 2x2x3, the first 2x2x1/);
  });
});

describe("planesOf", () => {
  test("has channel by channel what a picture has pixel by pixel", () => {
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect(planesOf({ width: 2, height: 1, channels: 3, data }, 3)).toEqual(Uint8Array.of(1, 4, 2, 5, 3, 6));
    expect(planesOf({ width: 3, height: 2, channels: 1, data }, 1)).toEqual(data);
    const target = new Uint8Array(8);
    planesOf({ width: 2, height: 1, channels: 1, data: data.subarray(0, 2) }, 3, target, 1);
    expect(target).toEqual(Uint8Array.of(0, 1, 2, 1, 2, 1, 2, 0));
  });
  test("makes grey of colour as BT.601 weighs it, and leaves grey as it is", () => {
    const grey = (...colour: number[]) => planesOf(solid(1, 1, ...colour), 1)[0];
    expect([grey(255, 0, 0), grey(0, 255, 0), grey(0, 0, 255)]).toEqual([76, 150, 29]);
    for (let byte = 0; byte < 256; byte++) expect(grey(byte, byte, byte)).toBe(byte);
  });
});

describe("encodePng", () => {
  test.each([
    [1, 1, 1],
    [5, 3, 1],
    [7, 9, 3],
  ] as const)("%ix%i with %i channels is read back by sharp", async (width, height, channels) => {
    const image = pattern(width, height, channels);
    const bytes = encodePng(image, { text: { comment: "ä" } });
    expect((await sharp(bytes).metadata()).channels).toBe(channels);
    expect(await decodeImage(bytes)).toEqual(image);
  });

  test("equal pictures and text give equal bytes", () => {
    const make = () => encodePng(pattern(20, 20, 3), { text: { run: '{"seed":0}' } });
    expect(make()).toEqual(make());
  });

  test("carries text, which another reader finds too", async () => {
    const text = { guidestar: JSON.stringify({ classes: ["drei", "三"], seed: 0 }), Software: "Guidestar" };
    const bytes = encodePng(pattern(4, 4, 1), { text });
    expect(readPngText(bytes)).toEqual(text);
    const { comments } = await sharp(bytes).metadata();
    expect(comments).toEqual(expect.arrayContaining([expect.objectContaining({ keyword: "guidestar" })]));
  });

  test("refuses impossible pictures and keywords", () => {
    expect(() => encodePng({ ...pattern(2, 2, 1), width: 3 })).toThrow(/3x2 with 1 channels does not fit 4 bytes/);
    expect(() => encodePng(pattern(2, 2, 1), { text: { "": "x" } })).toThrow(/1 to 79 printable ASCII/);
    expect(() => encodePng(pattern(2, 2, 1), { text: { ä: "x" } })).toThrow(DataError);
  });
});

describe("readPngText", () => {
  test("of a PNG that carries none", async () => {
    const bytes = await sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    expect(readPngText(bytes)).toEqual({});
  });
  test("notices what is damaged, truncated, or no PNG", () => {
    const bytes = encodePng(pattern(4, 4, 1), { text: { a: "b" } });
    expect(() => readPngText(bytes.subarray(0, 60))).toThrow(/truncated/);
    expect(() => readPngText(bytes.with(41, 66))).toThrow(/iTXt chunk is truncated or damaged/);
    expect(() => readPngText(Uint8Array.of(0xff, 0xd8, 0xff))).toThrow(/not a PNG/);
  });
});

describe("decodeImage", () => {
  test("transparency lies on white; grey, 16 bits and palettes become plain bytes", async () => {
    const create = (background: { r: number; g: number; b: number; alpha: number }) =>
      sharp({ create: { width: 2, height: 2, channels: 4, background } });
    expect((await decodeImage(await create({ r: 0, g: 0, b: 0, alpha: 0 }).png().toBuffer())).data).toEqual(
      solid(2, 2, 255, 255, 255).data,
    );
    const red = solid(2, 2, 255, 0, 0);
    expect(
      await decodeImage(await create({ r: 255, g: 0, b: 0, alpha: 1 }).toColourspace("rgb16").png().toBuffer()),
    ).toEqual(red);
    expect(await decodeImage(await create({ r: 255, g: 0, b: 0, alpha: 1 }).png({ palette: true }).toBuffer())).toEqual(
      red,
    );
    const grey = create({ r: 100, g: 100, b: 100, alpha: 1 }).flatten().toColourspace("grey16");
    expect(await decodeImage(await grey.png().toBuffer())).toEqual(solid(2, 2, 100));
  });
  test("grey files give one channel, coloured ones whose pixels are grey three; of 16 bits the upper 8 count", async () => {
    const values = Uint16Array.from({ length: 4096 }, (_, i) => 16 * i + 9);
    const input = sharp(values, { raw: { width: 64, height: 64, channels: 1 } }).toColourspace("grey16");
    const upper = Uint8Array.from(values, (value) => value >> 8);
    expect(await decodeImage(await input.png().toBuffer())).toEqual({
      width: 64,
      height: 64,
      channels: 1,
      data: upper,
    });
    const jpeg = sharp(solid(8, 8, 40).data, { raw: { width: 8, height: 8, channels: 1 } }).toColourspace("b-w");
    expect(await decodeImage(await jpeg.jpeg().toBuffer())).toEqual(solid(8, 8, 40));
    const colour = sharp(solid(8, 8, 40, 40, 40).data, { raw: { width: 8, height: 8, channels: 3 } });
    expect(await decodeImage(await colour.jpeg().toBuffer())).toEqual(solid(8, 8, 40, 40, 40));
  });
  test("with a size gives what fitImage gives: the middle of the longer side", async () => {
    for (const channels of [1, 3] as const) {
      const image = pattern(40, 24, channels);
      const fitted = await fitImage(image, 8);
      expect(fitted).toMatchObject({ width: 8, height: 8, channels });
      expect(await decodeImage(encodePng(image), { size: 8 })).toEqual(fitted);
      expect(await fitImage(image, undefined)).toBe(image);
      expect(await fitImage(fitted, 8)).toBe(fitted);
    }
    const halves = await fitImage(
      { ...solid(32, 8, 0), data: Uint8Array.from({ length: 256 }, (_, i) => (i % 32 < 16 ? 0 : 255)) },
      4,
    );
    expect([...halves.data.subarray(0, 4)].map((byte) => byte > 127)).toEqual([false, false, true, true]);
  });
  test("names what it can't read", async () => {
    await expect(decodeImage(Uint8Array.of(1, 2, 3), { name: "cats/1.png" })).rejects.toThrow(
      /^cats\/1.png: cannot be decoded/,
    );
    await expect(decodeImage(encodePng(pattern(40, 40, 3)).subarray(0, 2000))).rejects.toThrow(DataError);
  });
});

describe("grid", () => {
  test("lays pictures out row by row, enlarged, with padding around them", () => {
    const images = [solid(1, 1, 10), solid(1, 1, 20), solid(1, 1, 30)];
    const sheet = grid(images, { columns: 2, padding: 1, background: 0, scale: 2 });
    expect(sheet).toMatchObject({ width: 7, height: 7, channels: 1 });
    expect([...sheet.data]).toEqual(
      [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 10, 10, 0, 20, 20, 0],
        [0, 10, 10, 0, 20, 20, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 30, 30, 0, 0, 0, 0],
        [0, 30, 30, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
      ].flat(),
    );
  });
  test("agrees with another library's nearest-neighbour enlargement", async () => {
    const image = pattern(5, 4, 3);
    const { width, height, channels } = image;
    const enlarged = await sharp(image.data, { raw: { width, height, channels } })
      .resize(15, 12, { kernel: "nearest" })
      .raw()
      .toBuffer();
    expect(grid([image], { padding: 0, scale: 3 }).data).toEqual(new Uint8Array(enlarged));
  });
  test("is nearly square unless told otherwise, and refuses mixtures", () => {
    expect(
      grid(
        Array.from({ length: 10 }, () => solid(2, 2, 0)),
        { padding: 0 },
      ),
    ).toMatchObject({ width: 8, height: 6 });
    expect(() => grid([])).toThrow(/no images/);
    expect(() => grid([solid(2, 2, 0), solid(2, 3, 0)])).toThrow(/image 1 is 2x3x1, the first 2x2x1/);
    expect(() => grid([solid(2, 2, 0)], { scale: 1.5 })).toThrow(/scale 1.5/);
  });
});

test("shrink takes means of squares, and of what is left of them at the edges", () => {
  const image: Image = { width: 3, height: 3, channels: 1, data: Uint8Array.of(0, 10, 20, 30, 40, 50, 60, 70, 81) };
  expect(shrink(image, 2)).toEqual({ width: 2, height: 2, channels: 1, data: Uint8Array.of(20, 35, 65, 81) });
  const even = pattern(24, 12, 3);
  const small = shrink(even, 4);
  expect([small.width, small.height]).toEqual([6, 3]);
  for (let i = 0; i < small.data.length; i++) {
    const [x, y, c] = [Math.floor(i / 3) % 6, Math.floor(i / 18), i % 3];
    const square = Array.from(
      { length: 16 },
      (_, k) => even.data[((4 * y + (k >> 2)) * 24 + 4 * x + (k & 3)) * 3 + c]!,
    );
    expect(small.data[i]).toBe(Math.round(square.reduce((sum, value) => sum + value, 0) / 16));
  }
  expect(shrink(even, 1)).toEqual(even);
});

describe("animationGif", () => {
  test("shows every frame for its time", async () => {
    const frames = [solid(4, 4, 255, 0, 0), solid(4, 4, 0, 255, 0), solid(4, 4, 0, 0, 255)];
    const bytes = await animationGif(frames, { delay: 50, loop: 2 });
    expect(await sharp(bytes, { animated: true }).metadata()).toMatchObject({
      pages: 3,
      pageHeight: 4,
      delay: [50, 50, 50],
      loop: 2,
    });
    for (const [page, frame] of frames.entries())
      expect((await raw(await sharp(bytes, { page }).removeAlpha().png().toBuffer())).data).toEqual(frame.data);
  });
  test("may rest at the last frame", async () => {
    const bytes = await animationGif([solid(4, 4, 9), solid(4, 4, 8), solid(4, 4, 7)], { delay: 50, rest: 1000 });
    expect((await sharp(bytes, { animated: true }).metadata()).delay).toEqual([50, 50, 1050]);
  });
  test("keeps frames that do not change, and grey ones", async () => {
    const bytes = await animationGif([solid(4, 4, 9), solid(4, 4, 9)]);
    expect((await sharp(bytes, { animated: true }).metadata()).pages).toBe(2);
  });
  test("refuses none, and mixtures", async () => {
    await expect(animationGif([])).rejects.toThrow(/no frames/);
    await expect(animationGif([solid(4, 4, 9), solid(4, 4, 9, 9, 9)])).rejects.toThrow(
      /frame 1 is 4x4x3, the first 4x4x1/,
    );
  });
});

describe("terminalPreview", () => {
  test("in colour, a character is two pixels", () => {
    const image: Image = { width: 1, height: 3, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) };
    expect(terminalPreview(image, { columns: 10, color: true })).toBe(
      "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[0m\n\x1b[49m\x1b[38;2;7;8;9m▀\x1b[0m\n",
    );
  });
  test("without colour, brightness becomes shade", () => {
    const image: Image = {
      width: 5,
      height: 2,
      channels: 1,
      data: Uint8Array.of(0, 64, 128, 192, 255, 0, 64, 128, 192, 255),
    };
    expect(terminalPreview(image, { columns: 80, color: false })).toBe(" ░▒▓█\n");
  });
  test("shrinks to the columns by averaging", () => {
    const checkers: Image = {
      width: 8,
      height: 8,
      channels: 1,
      data: Uint8Array.from({ length: 64 }, (_, i) => ((i + (i >> 3)) % 2) * 255),
    };
    expect(terminalPreview(checkers, { columns: 4, color: false })).toBe("▒▒▒▒\n▒▒▒▒\n");
    expect(terminalPreview(solid(100, 50, 255, 255, 255), { columns: 30, color: false }).split("\n")[0]).toBe(
      "█".repeat(30),
    );
  });
});
