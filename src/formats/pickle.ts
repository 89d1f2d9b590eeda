import { ModelError } from "../errors.ts";
import { type ByteSource, readPart, viewOf } from "./bytes.ts";

/** What a pickle may refer to. Python's dictionaries come as Maps, lists and tuples as arrays, None as null. */
export interface PickleNames {
  /** Stand-ins for the globals that are allowed, by full name; where one is a function, the pickle may call it with a list of arguments. */
  readonly globals: ReadonlyMap<string, unknown>;
  /** The value of a persistent id. */
  persistent(id: unknown): unknown;
}

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

/** Opcodes that tensors don't need, or that make Python call or import something: named only in order to refuse them. */
const REFUSED = new Map(
  Object.entries({
    b: "BUILD on something other than a dictionary",
    o: "OBJ",
    i: "INST",
    P: "PERSID",
    I: "INT",
    L: "LONG",
    F: "FLOAT",
    S: "STRING",
    V: "UNICODE",
    p: "PUT",
    g: "GET",
    d: "DICT",
    l: "LIST",
    "0": "POP",
    "1": "POP_MARK",
    "2": "DUP",
    B: "BINBYTES",
    C: "SHORT_BINBYTES",
    "\x81": "NEWOBJ",
    "\x82": "EXT1",
    "\x83": "EXT2",
    "\x84": "EXT4",
    "\x8b": "LONG4",
    "\x8d": "BINUNICODE8",
    "\x8e": "BINBYTES8",
    "\x8f": "EMPTY_SET",
    "\x90": "ADDITEMS",
    "\x91": "FROZENSET",
    "\x92": "NEWOBJ_EX",
    "\x96": "BYTEARRAY8",
    "\x97": "NEXT_BUFFER",
    "\x98": "READONLY_BUFFER",
  }),
);

const MARK = Symbol("mark");

/**
 * Reads one pickle at the cursor, executing nothing: of the opcodes only those that plain data and `torch.save` need (protocols 2 to
 * 5), of the globals only `names.globals`. Throws ModelError on any other, by name, and on a truncated or inconsistent stream.
 */
export function unpickle(cursor: Cursor, names: PickleNames): unknown {
  const stack: unknown[] = [];
  const memo = new Map<number | bigint, unknown>();
  const fail = (problem: string) => new ModelError(`${cursor.file}: ${problem}`);

  const pop = (): unknown => {
    if (stack.length === 0 || stack.at(-1) === MARK) throw fail("the pickle is damaged (a value is missing)");
    return stack.pop();
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const popTuple = (count: number): unknown[] => Array.from({ length: count }, pop).reverse();
  const popToMark = (): unknown[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw fail("the pickle is damaged (a mark is missing)");
    return stack.splice(mark).slice(1);
  };
  const put = (key: number | bigint) => memo.set(key, top());
  const get = (key: number | bigint) => {
    if (!memo.has(key)) throw fail(`the pickle is damaged (it recalls value ${key}, which is not there)`);
    stack.push(memo.get(key));
  };
  const addItems = (items: unknown[]) => {
    const target = top();
    if (!(target instanceof Map) || items.length % 2 !== 0)
      throw fail("the pickle is damaged (items without a dictionary)");
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  };
  const append = (items: unknown[]) => {
    const target = top();
    if (!Array.isArray(target)) throw fail("the pickle is damaged (elements without a list)");
    for (const item of items) target.push(item);
  };
  const pushGlobal = (name: string) => {
    if (!names.globals.has(name))
      throw fail(
        `refers to "${name}", which is refused: only tensors in dictionaries are read, and nothing is executed`,
      );
    stack.push(names.globals.get(name));
  };
  const reduce = () => {
    const [callable, args] = popTuple(2);
    if (typeof callable !== "function" || !Array.isArray(args))
      throw fail("calls something that is not a function; refused");
    stack.push(callable(args));
  };

  for (;;) {
    const opcode = String.fromCharCode(cursor.take(1)[0]!);
    switch (opcode) {
      case "\x80": {
        const protocol = cursor.take(1)[0]!;
        if (protocol > 5) throw fail(`pickle protocol ${protocol} is unknown; expected 2 to 5`);
        break;
      }
      case "\x95": // FRAME: a hint for readers
        cursor.take(8);
        break;
      case ".": // STOP
        return pop();
      case "(":
        stack.push(MARK);
        break;
      case "N":
        stack.push(null);
        break;
      case "\x88":
        stack.push(true);
        break;
      case "\x89":
        stack.push(false);
        break;
      case "K": // BININT1
        stack.push(cursor.integer(1));
        break;
      case "M": // BININT2
        stack.push(cursor.integer(2));
        break;
      case "J": // BININT
        stack.push(cursor.integer(4, true));
        break;
      case "\x8a": // LONG1
        stack.push(cursor.integer(Number(cursor.integer(1)), true));
        break;
      case "G": // BINFLOAT, the only big-endian value
        stack.push(viewOf(cursor.take(8)).getFloat64(0));
        break;
      case "U": // SHORT_BINSTRING, Python 2's
      case "\x8c": // SHORT_BINUNICODE
        stack.push(cursor.text(cursor.integer(1)));
        break;
      case "T": // BINSTRING, Python 2's
      case "X": // BINUNICODE
        stack.push(cursor.text(cursor.integer(4)));
        break;
      case ")":
      case "]":
        stack.push([]);
        break;
      case "}":
        stack.push(new Map());
        break;
      case "t":
        stack.push(popToMark());
        break;
      case "\x85":
        stack.push(popTuple(1));
        break;
      case "\x86":
        stack.push(popTuple(2));
        break;
      case "\x87":
        stack.push(popTuple(3));
        break;
      case "a": {
        const item = pop();
        append([item]);
        break;
      }
      case "e": {
        append(popToMark());
        break;
      }
      case "s":
        addItems(popTuple(2));
        break;
      case "u":
        addItems(popToMark());
        break;
      case "q": // BINPUT
        put(cursor.integer(1));
        break;
      case "r": // LONG_BINPUT
        put(cursor.integer(4));
        break;
      case "\x94": // MEMOIZE
        put(memo.size);
        break;
      case "h": // BINGET
        get(cursor.integer(1));
        break;
      case "j": // LONG_BINGET
        get(cursor.integer(4));
        break;
      case "c": // GLOBAL
        pushGlobal(`${cursor.line()}.${cursor.line()}`);
        break;
      case "\x93": {
        // A module of anything but text is never shown: tuples of one tuple twice, many deep, are text without end.
        const [module, name] = popTuple(2);
        if (typeof module !== "string" || typeof name !== "string")
          throw fail("the pickle is damaged (the name of a global is no text)");
        pushGlobal(`${module}.${name}`);
        break;
      }
      case "Q": // BINPERSID
        stack.push(names.persistent(pop()));
        break;
      case "R":
        reduce();
        break;
      case "b": {
        const attributes = pop(); // such as `_metadata`, the module versions on an OrderedDict: dropped
        if (attributes instanceof Map && top() instanceof Map) break;
        throw fail(`pickle opcode ${REFUSED.get(opcode)} is refused: nothing is executed`);
      }
      default: {
        const code = `0x${opcode.charCodeAt(0).toString(16).padStart(2, "0")}`;
        throw fail(
          `pickle opcode ${REFUSED.get(opcode) ?? "unknown"} (${code}) is refused: only tensors in dictionaries are read`,
        );
      }
    }
  }
}
