import { type Background, coloursOf, usualBackground } from "../background.ts";
import { DataError } from "../errors.ts";
import { messageOf } from "../one-line.ts";
import { checkRange, describeExtremes, extremesOf, toBytes, type ValueRange } from "../value-range.ts";
import { type DecodedImage, type Image, isGrey } from "./image.ts";
import { decodePlainPng } from "./plain-png.ts";
import { decodeBmp, isBmp } from "./readers/bmp.ts";
import { decodePnm, isPnm } from "./readers/pnm.ts";
import { unreadPicture } from "./readers/what-picture.ts";
import { loadSharp, type Sharp } from "./sharp.ts";

/** Settings of an `ImageDecoder`. */
export interface DecodeOptions {
  /** Names the file in errors. */
  readonly name?: string;
  /** Side to resize and centre-crop to, as `fitImage` does. */
  readonly size?: number | undefined;
  /** What the values of TIFFs of floating-point numbers stand for; without it they must lie in 0 ... 1. */
  readonly range?: ValueRange | undefined;
  /** What transparent pixels show; white where not given. */
  readonly background?: Background | undefined;
}

/** Turns a file's bytes into pixels. Rejects with DataError where it cannot. */
export type ImageDecoder = (bytes: Uint8Array, options?: DecodeOptions) => Promise<DecodedImage>;

/** Names of files that are pictures, or that people take for ones: a picture that cannot be read is named when it is decoded. */
export const imageNames = /\.(png|jpe?g|jpe|jfif|webp|gif|tiff?|avif|bmp|dib|p[bgpn]m|hei[cf]|jp2|j2k|jxl)$/i;

/**
 * Pixels of a PNG, JPEG, WebP, GIF, TIFF, AVIF, BMP or PNM file, whatever its name: turned upright as its EXIF orientation says, in sRGB,
 * transparency on the background. Grey files give one channel, unless a coloured background shows. Of 16 bits the upper 8 count. Floating-point numbers, as TIFFs may have, are
 * taken as `range` says.
 *
 * @throws DataError where the file cannot be read
 */
export const decodeImage: ImageDecoder = async (bytes, options = {}) => {
  const { name, size } = options;
  const plain = decodePlainPng(bytes);
  if (plain && isFit(plain, size)) return plain;
  const unread = unreadPicture(bytes);
  const where = name === undefined ? "" : `${name}: `;
  if (unread) throw new DataError(`${where}${unread}`);
  try {
    if (isBmp(bytes)) return await fitImage(decodeBmp(bytes), size);
    if (isPnm(bytes)) return await fitImage(decodePnm(bytes), size);
    return await decodeBySharp(bytes, options);
  } catch (cause) {
    if (cause instanceof DataError) throw new DataError(`${where}${cause.message}`, { cause });
    // libvips has a line for each of its parts that failed.
    throw new DataError(`${where}cannot be decoded (${messageOf(cause)}); is it a picture?`, { cause });
  }
};

async function decodeBySharp(
  bytes: Uint8Array,
  { size, range, background = usualBackground }: DecodeOptions,
): Promise<DecodedImage> {
  const sharp = await loadSharp();
  const input = () => sharp(bytes, { failOn: "error" });
  const { depth, space, hasAlpha } = await input().metadata();
  if (isTiff(bytes)) {
    if (depth !== "uchar" && depth !== "ushort")
      return fitImage(await numbersOf(input().autoOrient(), depth, space, range), size);
  }
  const grey = isGreySpace(space);
  const [red, green, blue] = coloursOf(background);
  // On grey pictures sharp would put the background's brightness.
  const coloured = grey && hasAlpha && !(red === green && green === blue);
  const upright = (coloured ? input().pipelineColourspace("srgb") : input()).autoOrient();
  const image = await pixelsOf(upright.flatten({ background: { r: red, g: green, b: blue } }), size);
  // Files of colour whose pixels are all grey stay of colour.
  const kept = isGrey(image) && grey ? firstChannel(image) : image;
  return hasAlpha && !(await isOpaque(input())) ? { ...kept, transparent: true } : kept;
}

/** Whether no pixel lets the background through. */
async function isOpaque(image: Sharp): Promise<boolean> {
  const alpha = await image.extractChannel("alpha").toColourspace("b-w").raw().toBuffer();
  return alpha.every((value) => value === 255);
}

/** TIFF, of either byte order, also with addresses of 64 bits. */
const isTiff = ([a, b, c, d]: Uint8Array): boolean =>
  (a === 0x49 && b === 0x49 && (c === 42 || c === 43) && d === 0) ||
  (a === 0x4d && b === 0x4d && c === 0 && (d === 42 || d === 43));

/** A TIFF of floating-point numbers, which libvips would clip to 0 ... 255: its values as they are, by their range. */
async function numbersOf(
  input: Sharp,
  depth: string | undefined,
  space: string | undefined,
  range: ValueRange | undefined,
): Promise<Image> {
  if (depth !== "float" && depth !== "double")
    throw new DataError(
      `its values are of the type ${depth}, which is not read; save it with 8 or 16 bits, or as float32`,
    );
  const raw = input.toColourspace(space ?? "srgb").raw({ depth: "float" });
  const { data, info } = await raw.toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 1 && channels !== 3)
    throw new DataError(`numbers of other kinds than bytes in ${channels} channels; save it with 1 or 3`);
  const values = new Float32Array(Uint8Array.from(data).buffer);
  const extremes = extremesOf(values, "values");
  if (range === undefined && (extremes[0] < 0 || extremes[1] > 1))
    throw new DataError(
      `values in 0..1 were expected but they are ${describeExtremes(extremes)}; give their range (--range), or save it with 8 or 16 bits`,
    );
  checkRange(range ?? "0..1", extremes, "values");
  return { width, height, channels, data: toBytes(values, range ?? "0..1") };
}

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
