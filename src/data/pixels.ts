/** A decoded image: `data` is [height, width, channels] uint8, grey or RGB. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Whether red, green and blue are equal everywhere. */
export function isGrey({ channels, data }: Pixels): boolean {
  if (channels === 1) return true;
  for (let i = 0; i < data.length; i += 3) if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}

/** Writes an image as [channels, height, width] at `offset`. Colour becomes grey as luma (ITU-R BT.601). */
export function writePlanes(pixels: Pixels, channels: 1 | 3, target: Uint8Array, offset: number): void {
  const { data } = pixels;
  const area = pixels.width * pixels.height;
  if (pixels.channels === 1) for (let c = 0; c < channels; c++) target.set(data, offset + c * area);
  else if (channels === 3)
    for (let c = 0; c < 3; c++) for (let i = 0; i < area; i++) target[offset + c * area + i] = data[3 * i + c]!;
  else
    for (let i = 0; i < area; i++)
      target[offset + i] = Math.round(0.299 * data[3 * i]! + 0.587 * data[3 * i + 1]! + 0.114 * data[3 * i + 2]!);
}
