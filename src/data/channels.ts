import { luma } from "../images/image.ts";
import type { Content, Split } from "./content.ts";

/** Grey images [N, 1, H, W] as colour [N, 3, H, W]: three equal channels, written to the start of `target`. */
export function colourOf(
  images: Uint8Array,
  area: number,
  target: Uint8Array = new Uint8Array(3 * images.length),
): Uint8Array {
  for (let from = 0; from < images.length; from += area)
    for (let c = 0; c < 3; c++) target.set(images.subarray(from, from + area), 3 * from + c * area);
  return target;
}

/** Colour images [N, 3, H, W] as grey ones [N, 1, H, W]: luma, rounded. */
function greyOf(images: Uint8Array, area: number): Uint8Array {
  const target = new Uint8Array(images.length / 3);
  for (let to = 0; to < target.length; to++) {
    const red = to + 2 * area * Math.floor(to / area);
    target[to] = Math.round(luma(images[red]!, images[red + area]!, images[red + 2 * area]!));
  }
  return target;
}

/** A data set in grey or colour, as it is where `channels` is undefined. */
export function contentWith(content: Content, channels: 1 | 3 | undefined): Content {
  const [from, height, width] = content.train.shape;
  if (channels === undefined || channels === from) return content;
  const convert = channels === 1 ? greyOf : colourOf;
  const converted = (split: Split): Split => ({
    ...split,
    shape: [channels, height, width],
    images: convert(split.images, height * width),
  });
  return { ...content, train: converted(content.train), test: content.test && converted(content.test) };
}
