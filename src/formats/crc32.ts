/** Remainders of each byte (row 0), and of each byte followed by 1 to 3 zero bytes: four bytes are then taken in one step. */
const TABLES = Array.from({ length: 4 }, () => new Int32Array(256)) as [Int32Array, Int32Array, Int32Array, Int32Array];
for (let byte = 0; byte < 256; byte++) {
  let c = byte;
  for (let table = 0; table < 4; table++) {
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    TABLES[table]![byte] = c;
  }
}

/**
 * CRC-32 of zip and PNG (ISO 3309), as an unsigned number. Own, for browsers and for Node releases that have no `zlib.crc32`.
 *
 * @param before that of the bytes before these, where they come in parts
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [zero, one, two, three] = TABLES;
  const { length } = bytes;
  let c = ~before;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    c ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    c = three[c & 255]! ^ two[(c >>> 8) & 255]! ^ one[(c >>> 16) & 255]! ^ zero[c >>> 24]!;
  }
  for (; i < length; i++) c = zero[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}
