import { DataError } from "../errors.ts";
import { type Image, isGrey } from "./image.ts";
import { decodePlainPng } from "./plain-png.ts";
import { loadSharp, type Sharp } from "./sharp.ts";

/** Settings of an `ImageDecoder`. */
export interface DecodeOptions {
  /** Names the file in errors. */
  readonly name?: string;
  /** Side to resize and centre-crop to, as `fitImage` does. */
  readonly size?: number | undefined;
}

/** Turns a file's bytes into pixels. Rejects with DataError where it cannot. */
export type ImageDecoder = (bytes: Uint8Array, options?: DecodeOptions) => Promise<Image>;

/**
 * Pixels of a PNG, JPEG, WebP, GIF, TIFF or AVIF file: turned upright as its EXIF orientation says, in sRGB, transparency on white. Grey files
 * give one channel. Of 16 bits the upper 8 count.
 *
 * @throws DataError where the file cannot be read
 */
export const decodeImage: ImageDecoder = async (bytes, { name, size } = {}) => {
  const plain = decodePlainPng(bytes);
  if (plain && isFit(plain, size)) return plain;
  const sharp = await loadSharp();
  try {
    const input = () => sharp(bytes, { failOn: "error" });
    const image = await pixelsOf(input().autoOrient().flatten({ background: "white" }), size);
    // Files of colour whose pixels are all grey stay of colour.
    return isGrey(image) && isGreySpace((await input().metadata()).space) ? firstChannel(image) : image;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const where = name === undefined ? "" : `${name}: `;
    throw new DataError(`${where}cannot be decoded (${reason}); is it a picture?`, { cause });
  }
};

/**
 * Resizes a picture so that its shorter side is `size`, by a filter that averages over the area where it shrinks (Mitchell), and crops the centre
 * to size x size. Without a size, or where it has this size, it comes back as it is.
 */
export async function fitImage(image: Image, size: number | undefined): Promise<Image> {
  if (isFit(image, size)) return image;
  const { data, ...raw } = image;
  const sharp = await loadSharp();
  const fitted = await pixelsOf(sharp(data, { raw }), size);
  return image.channels === 1 ? firstChannel(fitted) : fitted;
}

const isFit = ({ width, height }: Image, size: number | undefined): boolean =>
  size === undefined || (width === size && height === size);

async function pixelsOf(image: Sharp, size: number | undefined): Promise<Image> {
  const fitted =
    size === undefined
      ? image
      : image.resize(size, size, { fit: "cover", kernel: "mitchell", fastShrinkOnLoad: false });
  const { data, info } = await fitted.toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels === 1 ? 1 : 3, data: bytesOf(data) };
}

/** The same bytes, without the methods of Node's Buffer. */
const bytesOf = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array => new Uint8Array(buffer, byteOffset, length);

const isGreySpace = (space: string | undefined): boolean => space === "b-w" || space === "grey16";

function firstChannel({ width, height, channels, data }: Image): Image {
  const first = new Uint8Array(width * height);
  for (let i = 0; i < first.length; i++) first[i] = data[i * channels]!;
  return { width, height, channels: 1, data: first };
}
