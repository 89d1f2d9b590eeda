/*
 * Thrift's compact protocol, in which parquet files describe themselves. The package that reads it believes every count: here numbers and nesting
 * end, and no list has more parts than there are bytes.
 */

/** Bytes of a number of 64 bits, seven bits in each. */
const LONGEST_NUMBER = 10;
const DEEPEST = 32;

/** Where a structure is read: its bytes, and the place in them, which moves on. */
interface Reader {
  readonly view: DataView;
  offset: number;
}

function number(reader: Reader): number {
  let value = 0;
  for (let i = 0; i < LONGEST_NUMBER; i++) {
    const byte = reader.view.getUint8(reader.offset++);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new RangeError(`a number has more than ${LONGEST_NUMBER} bytes`);
}

function fits(reader: Reader, bytes: number, what: string): number {
  if (bytes > reader.view.byteLength - reader.offset) throw new RangeError(`${what} does not fit into it`);
  return bytes;
}

/** Holds the structure at the reader's place to the bytes, and moves behind it. Throws a RangeError where it leads out of them. */
export function checkThrift(reader: Reader, depth = 0): void {
  if (depth > DEEPEST) throw new RangeError("its parts are nested without end");
  for (;;) {
    const field = reader.view.getUint8(reader.offset++);
    if ((field & 15) === 0) return;
    if (field >> 4 === 0) number(reader);
    // The types 1 and 2 are true and false, which have no bytes of their own as fields, and one in lists.
    if ((field & 15) > 2) checkValue(reader, field & 15, depth + 1);
  }
}

function checkValue(reader: Reader, type: number, depth: number): void {
  if (type <= 3) reader.offset += fits(reader, 1, "a byte");
  else if (type <= 6) number(reader);
  else if (type === 7) reader.offset += fits(reader, 8, "a number");
  else if (type === 8) {
    const length = number(reader);
    reader.offset += fits(reader, length, `a text of ${length} bytes`);
  } else if (type === 9) {
    const head = reader.view.getUint8(reader.offset++);
    const count = head >> 4 === 15 ? number(reader) : head >> 4;
    fits(reader, count, `a list of ${count} parts`);
    if (depth > DEEPEST) throw new RangeError("its parts are nested without end");
    for (let i = 0; i < count; i++) checkValue(reader, head & 15, depth + 1);
  } else if (type === 12) checkThrift(reader, depth);
  else throw new RangeError(`a part has the unknown type ${type}`);
}
