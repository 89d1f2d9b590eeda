import type { Image } from "../../images/image.ts";

/** Puts pictures onto a canvas, as nearly square as it goes, a pixel of space between them, each pixel as it is. */
export function paint(canvas: HTMLCanvasElement, pictures: readonly Image[]): void {
  const { width, height } = pictures[0]!;
  const columns = Math.ceil(Math.sqrt(pictures.length));
  const rows = Math.ceil(pictures.length / columns);
  const size = { width: columns * (width + 1) - 1, height: rows * (height + 1) - 1 };
  // Setting a size clears.
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const context = canvas.getContext("2d")!;
  for (const [n, picture] of pictures.entries())
    context.putImageData(imageDataOf(picture), (n % columns) * (width + 1), Math.floor(n / columns) * (height + 1));
}

/** A picture as canvases have them: red, green, blue and opacity. */
export function imageDataOf({ width, height, channels, data }: Image): ImageData {
  const pixels = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const from = i * channels;
    pixels[4 * i] = data[from]!;
    pixels[4 * i + 1] = data[channels === 1 ? from : from + 1]!;
    pixels[4 * i + 2] = data[channels === 1 ? from : from + 2]!;
    pixels[4 * i + 3] = 255;
  }
  return new ImageData(pixels, width, height);
}
