import { viewOf } from "../bytes.ts";
import type { Cursor } from "./cursor.ts";
import { Machine, type PickleNames } from "./machine.ts";
import { Opaque } from "./opaque.ts";

/** What an opcode does. */
type Operation = (machine: Machine, cursor: Cursor) => void;

const pushText =
  (width: number): Operation =>
  (machine, cursor) =>
    machine.push(cursor.text(cursor.integer(width)));
const pushInteger =
  (width: number, signed = false): Operation =>
  (machine, cursor) =>
    machine.push(cursor.integer(width, signed));
const pushBytes =
  (width: number): Operation =>
  (machine, cursor) => {
    cursor.skip(cursor.integer(width));
    machine.push(new Opaque("bytes"));
  };
const pushLong =
  (width: number): Operation =>
  (machine, cursor) => {
    const length = Number(cursor.integer(width));
    if (length <= LONGEST_INTEGER) return machine.push(cursor.integer(length, true));
    cursor.skip(length);
    machine.push(new Opaque("int"));
  };
const pushLine =
  (read: (text: string) => unknown): Operation =>
  (machine, cursor) => {
    const text = cursor.line();
    const value = read(text);
    if (value === undefined) throw machine.damaged("a number cannot be read");
    machine.push(value);
  };
const pushTuple =
  (count: number): Operation =>
  (machine) =>
    machine.push(machine.popTuple(count));

/** Longer integers (bytes) are of no use to us, and take long to read. */
const LONGEST_INTEGER = 255;

const integerOf = (text: string): number | bigint | boolean | undefined => {
  if (text === "00" || text === "01") return text === "01"; // booleans of protocol 0
  const digits = /^\s*([+-]?\d{1,600})L?\s*$/.exec(text)?.[1];
  if (digits === undefined) return undefined;
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits.replace("+", ""));
};
const keyOf = (text: string): number => Number(text);

/** All opcodes of protocols 0 to 5 but the extension registry's, which name a class by a number that only the writer knows. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "\x80": checkProtocol,
  "\x95": (_, cursor) => cursor.take(8), // FRAME: a hint for readers
  "(": (machine) => machine.mark(),

  N: (machine) => machine.push(null),
  "\x88": (machine) => machine.push(true),
  "\x89": (machine) => machine.push(false),
  K: pushInteger(1), // BININT1
  M: pushInteger(2), // BININT2
  J: pushInteger(4, true), // BININT
  "\x8a": pushLong(1), // LONG1
  "\x8b": pushLong(4), // LONG4
  I: pushLine(integerOf), // INT
  L: pushLine(integerOf), // LONG
  F: pushLine(Number), // FLOAT
  G: (machine, cursor) => machine.push(viewOf(cursor.take(8)).getFloat64(0)), // BINFLOAT, the only big-endian value
  U: pushText(1), // SHORT_BINSTRING, Python 2's
  "\x8c": pushText(1), // SHORT_BINUNICODE
  T: pushText(4), // BINSTRING, Python 2's
  X: pushText(4), // BINUNICODE
  "\x8d": pushText(8), // BINUNICODE8
  S: pushLine((text) => text.replace(/^(['"])(.*)\1\s*$/, "$2")), // STRING
  V: pushLine((text) => text), // UNICODE
  C: pushBytes(1), // SHORT_BINBYTES
  B: pushBytes(4), // BINBYTES
  "\x8e": pushBytes(8), // BINBYTES8
  "\x96": pushBytes(8), // BYTEARRAY8
  "\x97": (machine) => machine.push(new Opaque("bytes")), // NEXT_BUFFER
  "\x98": () => undefined, // READONLY_BUFFER

  ")": (machine) => machine.push([]),
  "]": (machine) => machine.push([]),
  "}": (machine) => machine.push(new Map()),
  "\x8f": (machine) => machine.push([]), // EMPTY_SET
  t: (machine) => machine.push(machine.popToMark()),
  l: (machine) => machine.push(machine.popToMark()), // LIST
  "\x91": (machine) => machine.push(machine.popToMark()), // FROZENSET
  d: (machine) => {
    const items = machine.popToMark();
    machine.push(new Map());
    machine.addItems(items);
  }, // DICT
  "\x85": pushTuple(1),
  "\x86": pushTuple(2),
  "\x87": pushTuple(3),
  a: (machine) => machine.append([machine.pop()]),
  e: (machine) => machine.append(machine.popToMark()),
  s: (machine) => machine.addItems(machine.popTuple(2)),
  "\x90": (machine) => machine.append(machine.popToMark()), // ADDITEMS
  u: (machine) => machine.addItems(machine.popToMark()),
  "0": (machine) => machine.drop(), // POP
  "1": (machine) => void machine.popToMark(), // POP_MARK
  "2": (machine) => machine.push(machine.top()), // DUP

  q: (machine, cursor) => machine.put(cursor.integer(1)), // BINPUT
  r: (machine, cursor) => machine.put(cursor.integer(4)), // LONG_BINPUT
  "\x94": (machine) => machine.put(), // MEMOIZE
  p: (machine, cursor) => machine.put(keyOf(cursor.line())), // PUT
  h: (machine, cursor) => machine.get(cursor.integer(1)), // BINGET
  j: (machine, cursor) => machine.get(cursor.integer(4)), // LONG_BINGET
  g: (machine, cursor) => machine.get(keyOf(cursor.line())), // GET

  c: (machine, cursor) => machine.pushGlobal(`${cursor.line()}.${cursor.line()}`), // GLOBAL
  "\x93": pushStackGlobal,
  Q: (machine) => machine.push(machine.names.persistent(machine.pop())), // BINPERSID
  P: (machine, cursor) => machine.push(machine.names.persistent(cursor.line())), // PERSID
  R: callTop,
  "\x81": callTop, // NEWOBJ
  "\x92": (machine) => {
    machine.pop(); // arguments by name
    callTop(machine);
  }, // NEWOBJ_EX
  o: (machine) => {
    const [callable, ...args] = machine.popToMark();
    machine.call(callable, args);
  }, // OBJ
  i: (machine, cursor) => {
    const args = machine.popToMark();
    machine.pushGlobal(`${cursor.line()}.${cursor.line()}`);
    machine.call(machine.pop(), args);
  }, // INST
  b: (machine) => void machine.pop(), // BUILD: attributes, such as `_metadata`, the module versions on an OrderedDict
};

function callTop(machine: Machine): void {
  const [callable, args] = machine.popTuple(2);
  machine.call(callable, args);
}

function checkProtocol(machine: Machine, cursor: Cursor): void {
  const protocol = cursor.take(1)[0]!;
  if (protocol > 5) throw machine.fail(`pickle protocol ${protocol} is unknown; expected 2 to 5`);
}

function pushStackGlobal(machine: Machine): void {
  // A module of anything but text is never shown: tuples of one tuple twice, many deep, are text without end.
  const [module, name] = machine.popTuple(2);
  if (typeof module !== "string" || typeof name !== "string") throw machine.damaged("the name of a global is no text");
  machine.pushGlobal(`${module}.${name}`);
}

/**
 * Reads one pickle at the cursor, executing nothing: of the globals only the stand-ins in `names.globals` are called, and values of all other
 * classes are opaque. Throws ModelError on a truncated or inconsistent stream.
 */
export function unpickle(cursor: Cursor, names: PickleNames): unknown {
  const machine = new Machine(cursor, names);
  for (;;) {
    const byte = cursor.take(1)[0]!;
    const opcode = String.fromCharCode(byte);
    if (opcode === ".") return machine.pop(); // STOP
    const operation = OPERATIONS[opcode];
    if (!operation)
      throw machine.fail(
        `pickle opcode 0x${byte.toString(16).padStart(2, "0")} is not known: the file is damaged, or of a newer Python`,
      );
    operation(machine, cursor);
  }
}
