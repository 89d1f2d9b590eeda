import { crc32 } from "../../src/formats/crc32.ts";

const BLOCK = 512;

/** A header of ustar. */
function header(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name.slice(0, 100), "utf8");
  block.write("0000644\0", 100, "latin1");
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  block.write(" ".repeat(8), 148, "latin1");
  block.write(type, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const padded = (content: Uint8Array): Buffer =>
  Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);

/** A tar archive; names beyond 100 bytes stand in an extended header. */
export function tar(files: Record<string, Uint8Array>, { link }: { link?: string } = {}): Uint8Array {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const long = Buffer.byteLength(name) > 100;
    const record = ` path=${name}\n`;
    const length = Buffer.byteLength(record) + 3;
    const pax = Buffer.from(`${length}${record}`);
    const before = long ? [header("PaxHeader", pax.length, "x"), padded(pax)] : [];
    return [...before, header(name, content.length, "0"), padded(content)];
  });
  const links = link === undefined ? [] : [header(link, 0, "2")];
  return new Uint8Array(Buffer.concat([...parts, ...links, Buffer.alloc(2 * BLOCK)]));
}

/** A zip of stored entries whose names are bytes as they are, or UTF-8, without the flag that says so. */
export function rawZip(
  entries: readonly (readonly [name: string | Uint8Array, content: Uint8Array])[],
  { flags = 0, method = 0 } = {},
): Uint8Array {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const bytes = Buffer.from(name as Uint8Array);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(bytes.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, bytes, content]);
    const end = Buffer.alloc(14);
    end.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\0", "latin1"), common, end, bytes]));
    locals.push(local);
    offset += local.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...locals, ...directory, end]));
}
