import { applyPalette, GIFEncoder, quantize } from "gifenc";
import { grid, type Image, sheetLayout } from "guidestar/formats";

const scope = globalThis as unknown as {
  onmessage: (event: { data: { frames: readonly (readonly Image[])[]; labels: readonly number[] } }) => void;
  postMessage(gif: Uint8Array, transfer: Transferable[]): void;
};

const greys = Array.from({ length: 256 }, (_, i) => [i, i, i]);
/** As in the GIFs of the command line: a frame's time, and how much longer the last one stays, in ms. */
const [delay, rest] = [80, 1500];

scope.onmessage = ({ data: { frames, labels } }) => {
  const layout = sheetLayout(labels, frames[0]![0]!.width);
  const gif = GIFEncoder();
  for (const [n, pictures] of frames.entries()) {
    const { width, height, channels, data } = grid(pictures, layout);
    const timing = { delay: n === frames.length - 1 ? delay + rest : delay };
    // Later frames have the palette of the first.
    if (channels === 1) gif.writeFrame(data, width, height, { ...(n === 0 && { palette: greys }), ...timing });
    else {
      const colours = new Uint8Array(4 * width * height).fill(255);
      for (let i = 0; i < width * height; i++) colours.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
      const palette = quantize(colours, 256);
      gif.writeFrame(applyPalette(colours, palette), width, height, { palette, ...timing });
    }
  }
  gif.finish();
  const bytes = gif.bytes();
  scope.postMessage(bytes, [bytes.buffer]);
};
