import { viewOf } from "../bytes.ts";
import { crc32 } from "../crc32.ts";

/** Bytes 128 to 255 of the code page of the IBM PC, which zips have names in unless they say otherwise (APPNOTE 4.6.9 and appendix D). */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
  "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** Bit of an entry's flags: its name is in UTF-8. */
const UTF8 = 1 << 11;

/** An entry's name, and the encoding that it was taken to be in. */
export interface ZipName {
  readonly name: string;
  readonly encoding: "UTF-8" | "CP437";
}

/**
 * The name of a zip's entry: in UTF-8 if the entry says so, or has it as an extra field (Info-ZIP's 0x7075), or if it is valid UTF-8, as
 * macOS and Linux write it without a word; else in CP437. Other code pages cannot be told from it.
 */
export function zipName(bytes: Uint8Array, flags: number, extra: Uint8Array): ZipName {
  const unicode = flags & UTF8 ? undefined : unicodePath(bytes, extra);
  try {
    return {
      name: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(unicode ?? bytes),
      encoding: "UTF-8",
    };
  } catch {
    const name = Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : CP437[byte - 128]!)).join("");
    return { name, encoding: "CP437" };
  }
}

/** Info-ZIP's Unicode path: version 1, CRC-32 of the name that it is for, the name in UTF-8. */
function unicodePath(name: Uint8Array, extra: Uint8Array): Uint8Array | undefined {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) !== 0x7075 || size < 5 || at + 4 + size > extra.length || extra[at + 4] !== 1)
      continue;
    if (view.getUint32(at + 5, true) === crc32(name)) return extra.subarray(at + 9, at + 4 + size);
  }
  return undefined;
}
