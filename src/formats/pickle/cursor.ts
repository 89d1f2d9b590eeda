import { ModelError } from "../../errors.ts";
import { type ByteSource, readPart } from "../bytes.ts";

const WINDOW = 1 << 16;

/** Reads a source in order, through a small window. */
export class Cursor {
  readonly source: ByteSource;
  /** Names the file in errors. */
  readonly file: string;
  position = 0;
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(source: ByteSource, file: string) {
    this.source = source;
    this.file = file;
  }

  take(length: number): Uint8Array {
    if (this.position < this.#start || this.position + length > this.#start + this.#window.length) {
      const size = Math.max(length, Math.min(WINDOW, this.source.size - this.position));
      this.#window = readPart(this.source, this.position, size, `${this.file}: pickle`, ModelError);
      this.#start = this.position;
    }
    const from = this.position - this.#start;
    this.position += length;
    return this.#window.subarray(from, from + length);
  }

  /** Passes over bytes without reading them. */
  skip(length: number | bigint): void {
    const end = this.position + Number(length);
    if (end > this.source.size)
      throw new ModelError(
        `${this.file}: pickle: bytes up to ${end} were expected but there are ${this.source.size}; is the file whole?`,
      );
    this.position = end;
  }

  /** Little-endian integer of `width` bytes; a number where it is exact, else a bigint. */
  integer(width: number, signed = false): number | bigint {
    const value = this.take(width).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const exact = signed ? BigInt.asIntN(width * 8, value) : value;
    return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  }

  text(length: number | bigint): string {
    return new TextDecoder().decode(this.take(Number(length)));
  }

  line(): string {
    const bytes: number[] = [];
    for (let byte = this.take(1)[0]!; byte !== 10; byte = this.take(1)[0]!) bytes.push(byte);
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }
}
