import { whatCameInstead } from "../../formats/what-it-is.ts";

/** Pictures that neither sharp's build nor this package reads, by their first bytes (as latin-1). */
// biome-ignore-start lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them
const UNREAD: readonly (readonly [start: RegExp, name: string])[] = [
  [/^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/, "JPEG 2000"],
  [/^(\xff\x0a|\0\0\0\x0cJXL )/, "JPEG XL"],
  [/^8BPS/, "Photoshop"],
  [/^\0\0[\x01\x02]\0[\s\S]\0/, "Windows icon"],
  [/^\x76\x2f\x31\x01/, "OpenEXR"],
  [/^#\?(RADIANCE|RGBE)/, "Radiance HDR"],
  [/^P[fF]\s/, "PFM"],
  [/^DDS /, "DirectDraw"],
  [/^SIMPLE {2}=/, "FITS"],
  [/^gimp xcf/, "GIMP"],
  [/^FUJIFILMCCD-RAW/, "raw camera"],
  [/^[\s\S]{128}DICM/, "DICOM"],
  [/^(\x5c\x01|n\+1|[\s\S]{344}n\+1)/, "NIfTI"],
];
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them

/** Brands of HEIF files whose pictures are coded as HEVC, which is under patents, so that builds of libvips come without it. */
const HEIC = /^(hei[cxms]|hev[cxms])$/;
const AVIF = /^avi[fs]$/;

/** What a picture is that cannot be read, or what came in its place, and what to do; undefined where it may be read. */
export function unreadPicture(bytes: Uint8Array): string | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 512));
  if (start.slice(4, 8) === "ftyp") {
    const brands = start.slice(8, Math.min(bytes.length, 8 + boxSize(bytes))).match(/[\s\S]{4}/g) ?? [];
    if (brands.some((brand) => AVIF.test(brand))) return undefined;
    if (brands.some((brand) => HEIC.test(brand)) || brands[0] === "mif1" || brands[0] === "msf1")
      return "this is a HEIC picture, as iPhones take, which is not read; save it as JPEG or PNG (on a Mac: sips -s format jpeg)";
  }
  const name = UNREAD.find(([pattern]) => pattern.test(start))?.[1];
  if (name) return `this is a ${name} picture, which is not read; save it as PNG, JPEG or TIFF`;
  return start.includes("<svg") ? undefined : whatCameInstead(bytes, bytes.length);
}

/** Bytes of the first box behind its size and type. */
const boxSize = (bytes: Uint8Array): number =>
  Math.max(0, new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) - 8);
