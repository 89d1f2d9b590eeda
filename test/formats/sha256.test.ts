import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { sha256Bytes } from "../../src/formats/sha256.ts";
import { integers } from "../../src/random.ts";

test("SHA-256 is Node's, for every length about the size of its blocks", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from(integers(1, length, length, 256));
    const expected = createHash("sha256").update(bytes).digest("hex");
    expect(Buffer.from(sha256Bytes(bytes)).toString("hex"), `${length} bytes`).toBe(expected);
  }
});
