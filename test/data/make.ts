import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { onTestFinished } from "vitest";

/** A temporary folder holding the given files, removed when the test ends. */
export async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "guidestar-data-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

/** Bytes that look arbitrary and are the same every time. */
export const noise = (count: number, seed = 1): Uint8Array =>
  Uint8Array.from(
    { length: count },
    (_, i) => (Math.imul(i + 1, 2654435761) ^ Math.imul(seed, 40503 * (i + 7))) >>> 13,
  );

/** PNG of an image [height, width, channels]. */
export const png = (data: Uint8Array, width: number, height: number, channels: 1 | 2 | 3 | 4 = 1): Promise<Buffer> => {
  const image = sharp(data, { raw: { width, height, channels } });
  return (channels < 3 ? image.toColourspace("b-w") : image).png().toBuffer();
};

/** PNG of one colour, 4x4 unless told. */
export const plain = (background: string, width = 4, height = width): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
