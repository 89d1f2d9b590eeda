import { loadSharp } from "./sharp.ts";

/** A picture of an SVG document, as a PNG; `scale` pixels for each of its units. */
export async function rasterize(svg: string, { scale = 1.5 } = {}): Promise<Uint8Array> {
  const sharp = await loadSharp();
  return new Uint8Array(
    await sharp(new TextEncoder().encode(svg), { density: 72 * scale })
      .png()
      .toBuffer(),
  );
}
