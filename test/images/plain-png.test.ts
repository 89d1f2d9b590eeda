import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodePlainPng } from "../../src/images/plain-png.ts";
import { noise, png } from "../data/make.ts";

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  crc.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, crc]);
}

/** PNG of arbitrary scan lines, whose filters are 0 to 4 in turn, with its data in two chunks. */
function everyFilter(width: number, height: number, channels: 1 | 3): Buffer {
  const lines = noise(height * (1 + width * channels));
  for (let y = 0; y < height; y++) lines[y * (1 + width * channels)] = (y + 3) % 5;
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, channels === 1 ? 0 : 2, 0, 0, 0]);
  const data = deflateSync(lines);
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    chunk("tEXt", Buffer.from("Comment\0 harmless")),
    chunk("IDAT", data.subarray(0, 20)),
    chunk("IDAT", data.subarray(20)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

describe("decodePlainPng agrees with sharp", () => {
  for (const channels of [1, 3] as const) {
    const raw = { width: 19, height: 13, channels };

    test(`on every filter, ${channels} channel(s)`, async () => {
      const bytes = everyFilter(19, 13, channels);
      const image = sharp(bytes).toColourspace(channels === 1 ? "b-w" : "srgb");
      const decoded = decodePlainPng(bytes);
      expect(decoded).toMatchObject(raw);
      expect([...decoded!.data]).toEqual([...(await image.raw().toBuffer())]);
    });

    test(`as encoder, ${channels} channel(s)`, async () => {
      const data = noise(19 * 13 * channels);
      const decoded = decodePlainPng(await png(data, 19, 13, channels));
      expect(decoded).toMatchObject(raw);
      expect([...decoded!.data]).toEqual([...data]);
    });
  }
});

describe("decodePlainPng leaves to sharp", () => {
  const grey = () => png(noise(64), 8, 8);
  const made = {
    "an alpha channel": () => png(noise(256), 8, 8, 4),
    "a palette": () =>
      sharp(noise(192), { raw: { width: 8, height: 8, channels: 3 } })
        .png({ palette: true })
        .toBuffer(),
    interlacing: () =>
      sharp(noise(192), { raw: { width: 8, height: 8, channels: 3 } })
        .png({ progressive: true })
        .toBuffer(),
    "16 bits": () =>
      sharp(noise(192), { raw: { width: 8, height: 8, channels: 3 } })
        .toColourspace("rgb16")
        .png()
        .toBuffer(),
    "a colour profile": () =>
      sharp(noise(192), { raw: { width: 8, height: 8, channels: 3 } })
        .withIccProfile("p3")
        .png()
        .toBuffer(),
    "a large image": () => png(noise(300 * 300), 300, 300),
    "a JPEG": () =>
      sharp(noise(192), { raw: { width: 8, height: 8, channels: 3 } })
        .jpeg()
        .toBuffer(),
    "no bytes": async () => new Uint8Array(0),
    "a cut file": async () => (await grey()).subarray(0, 60),
    "a flipped bit of the pixels": async () => {
      const bytes = await grey();
      bytes[50]! ^= 4;
      return bytes;
    },
  };
  for (const [name, make] of Object.entries(made))
    test(name, async () => expect(decodePlainPng(await make())).toBeUndefined());
});
