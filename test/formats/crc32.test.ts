import { expect, test } from "vitest";
import { crc32 } from "../../src/formats/crc32.ts";

const text = (value: string) => new TextEncoder().encode(value);

test("published check values, at every length modulo 4", () => {
  expect(crc32(text(""))).toBe(0);
  expect(crc32(text("a"))).toBe(0xe8b7be43);
  expect(crc32(text("abc"))).toBe(0x352441c2);
  expect(crc32(text("123456789"))).toBe(0xcbf43926);
  expect(crc32(text("message digest"))).toBe(0x20159d7f);
  expect(crc32(text("abcdefghijklmnopqrstuvwxyz"))).toBe(0x4c2750bd);
});
