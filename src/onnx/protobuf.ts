/** A writer of the few protobuf wire types that ONNX uses. Messages are lists of chunks, joined once. */
export class Message {
  private readonly chunks: Uint8Array[] = [];
  private length = 0;

  private push(chunk: Uint8Array): this {
    this.chunks.push(chunk);
    this.length += chunk.length;
    return this;
  }

  private header(field: number, wireType: 0 | 2 | 5, value?: number): this {
    const bytes: number[] = [];
    pushVarint(bytes, field * 8 + wireType);
    if (value !== undefined) pushVarint(bytes, value);
    return this.push(Uint8Array.from(bytes));
  }

  /** A whole number, negative ones as 64-bit two's complement. */
  integer(field: number, value: number): this {
    return this.header(field, 0, value);
  }

  float(field: number, value: number): this {
    return this.header(field, 5).push(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.header(field, 2, value.length).push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    this.header(field, 2, value.length);
    for (const chunk of value.chunks) this.push(chunk);
    return this;
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let offset = 0;
    for (const chunk of this.chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes;
  }
}

function pushVarint(bytes: number[], value: number): void {
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
    return;
  }
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}
