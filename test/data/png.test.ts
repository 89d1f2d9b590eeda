import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { decodePlainPng } from "../../src/data/png.ts";
import { noise, png } from "./make.ts";

/** A smooth image, on which encoders choose every kind of filter. */
const smooth = (width: number, height: number, channels: number): Uint8Array =>
  Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return 128 + 100 * Math.sin((pixel % width) / 5 + (i % channels)) * Math.cos(Math.floor(pixel / width) / 4);
  });

describe("decodePlainPng agrees with sharp", () => {
  for (const channels of [1, 3] as const)
    for (const adaptiveFiltering of [false, true])
      for (const [name, data] of Object.entries({ noise: noise(19 * 13 * channels), smooth: smooth(19, 13, channels) }))
        test(`${channels} channel(s), ${name}, adaptive filtering ${adaptiveFiltering}`, async () => {
          const raw = { width: 19, height: 13, channels };
          const image = sharp(data, { raw }).toColourspace(channels === 1 ? "b-w" : "srgb");
          const bytes = await image.png({ adaptiveFiltering }).toBuffer();
          const decoded = decodePlainPng(bytes);
          expect(decoded).toMatchObject(raw);
          expect([...decoded!.data]).toEqual([...data]);
        });
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
