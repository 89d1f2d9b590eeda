import { DataError } from "../errors.ts";

/** Text of a table or a list. Throws DataError, which begins with `name`, where it is neither UTF-8 nor UTF-16 with its mark. */
export function decodeText(bytes: Uint8Array, name: string): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(`${name}: expected text in UTF-8 but it is in another encoding; save it as UTF-8`, { cause });
  }
}

/** The separator that a table's first line has most of. */
function separatorOf(text: string): string {
  const line = text.slice(0, text.search(/[\r\n]|$/));
  const count = (separator: string): number => line.split(separator).length;
  return [",", "\t", ";"].reduce((best, other) => (count(other) > count(best) ? other : best));
}

/**
 * Rows of a table with commas, tabs or semicolons between its fields (RFC 4180: quotes around fields, doubled inside them). Empty lines
 * are left out. Throws DataError, which begins with `name`, where a quote is not closed.
 */
export function parseCsv(text: string, name: string): string[][] {
  const separator = separatorOf(text);
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  const endField = () => {
    row.push(field);
    field = "";
  };
  const endRow = () => {
    endField();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === separator) endField();
    else if (c === "\n" || c === "\r") endRow();
    else field += c;
  }
  if (quoted) throw new DataError(`${name}: the quote that opens in row ${rows.length + 1} is never closed`);
  endRow();
  return rows;
}
