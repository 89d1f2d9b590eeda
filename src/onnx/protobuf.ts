const encoder = new TextEncoder();
/** Values from this size on (bytes) are kept as they are until all is joined; smaller ones are copied at once. */
const apartFrom = 1 << 12;

/** A writer of the few protobuf wire types that ONNX uses. Small fields go into one growing buffer, for a model has very many. */
export class Message {
  private readonly before: Uint8Array[] = [];
  private beforeLength = 0;
  private buffer = new Uint8Array(64);
  private used = 0;

  private get length(): number {
    return this.beforeLength + this.used;
  }

  private copy(bytes: Uint8Array): void {
    const needed = this.used + bytes.length;
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(needed)));
      larger.set(this.buffer.subarray(0, this.used));
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.used = needed;
  }

  private append(bytes: Uint8Array): void {
    if (bytes.length < apartFrom) this.copy(bytes);
    else {
      this.before.push(this.buffer.subarray(0, this.used), bytes);
      this.beforeLength += this.used + bytes.length;
      this.buffer = this.buffer.subarray(this.used);
      this.used = 0;
    }
  }

  private header(field: number, wireType: 0 | 2 | 5, value?: number): this {
    const bytes: number[] = [];
    pushVarint(bytes, field * 8 + wireType);
    if (value !== undefined) pushVarint(bytes, value);
    this.copy(Uint8Array.from(bytes));
    return this;
  }

  /** A whole number, negative ones as 64-bit two's complement. */
  integer(field: number, value: number): this {
    return this.header(field, 0, value);
  }

  float(field: number, value: number): this {
    this.header(field, 5).copy(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.header(field, 2, value.length).append(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  message(field: number, value: Message): this {
    this.header(field, 2, value.length);
    for (const part of value.parts()) this.append(part);
    return this;
  }

  private parts(): readonly Uint8Array[] {
    return [...this.before, this.buffer.subarray(0, this.used)];
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let offset = 0;
    for (const part of this.parts()) {
      bytes.set(part, offset);
      offset += part.length;
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
