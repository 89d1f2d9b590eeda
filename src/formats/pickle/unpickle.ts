import { viewOf } from "../bytes.ts";
import type { Cursor } from "./cursor.ts";
import { Machine, type PickleNames } from "./machine.ts";
import { REFUSED } from "./refused.ts";

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
const pushTuple =
  (count: number): Operation =>
  (machine) =>
    machine.push(machine.popTuple(count));

/** The opcodes that plain data and `torch.save` need, of protocols 2 to 5. */
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
  "\x8a": (machine, cursor) => machine.push(cursor.integer(Number(cursor.integer(1)), true)), // LONG1
  G: (machine, cursor) => machine.push(viewOf(cursor.take(8)).getFloat64(0)), // BINFLOAT, the only big-endian value
  U: pushText(1), // SHORT_BINSTRING, Python 2's
  "\x8c": pushText(1), // SHORT_BINUNICODE
  T: pushText(4), // BINSTRING, Python 2's
  X: pushText(4), // BINUNICODE

  ")": (machine) => machine.push([]),
  "]": (machine) => machine.push([]),
  "}": (machine) => machine.push(new Map()),
  t: (machine) => machine.push(machine.popToMark()),
  "\x85": pushTuple(1),
  "\x86": pushTuple(2),
  "\x87": pushTuple(3),
  a: (machine) => machine.append([machine.pop()]),
  e: (machine) => machine.append(machine.popToMark()),
  s: (machine) => machine.addItems(machine.popTuple(2)),
  u: (machine) => machine.addItems(machine.popToMark()),

  q: (machine, cursor) => machine.put(cursor.integer(1)), // BINPUT
  r: (machine, cursor) => machine.put(cursor.integer(4)), // LONG_BINPUT
  "\x94": (machine) => machine.put(), // MEMOIZE
  h: (machine, cursor) => machine.get(cursor.integer(1)), // BINGET
  j: (machine, cursor) => machine.get(cursor.integer(4)), // LONG_BINGET

  c: (machine, cursor) => machine.pushGlobal(`${cursor.line()}.${cursor.line()}`), // GLOBAL
  "\x93": pushStackGlobal,
  Q: (machine) => machine.push(machine.names.persistent(machine.pop())), // BINPERSID
  R: (machine) => machine.reduce(),
  b: dropAttributes,
};

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

/** BUILD: attributes of a dictionary, such as `_metadata`, the module versions on an OrderedDict. */
function dropAttributes(machine: Machine): void {
  const attributes = machine.pop();
  if (attributes instanceof Map && machine.top() instanceof Map) return;
  throw machine.fail(`pickle opcode ${REFUSED.get("b")} is refused: nothing is executed`);
}

/**
 * Reads one pickle at the cursor, executing nothing: of the opcodes only those that plain data and `torch.save` need (protocols 2 to
 * 5), of the globals only `names.globals`. Throws ModelError on any other, by name, and on a truncated or inconsistent stream.
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
        `pickle opcode ${REFUSED.get(opcode) ?? "unknown"} (0x${byte.toString(16).padStart(2, "0")}) is refused: only tensors in dictionaries are read`,
      );
    operation(machine, cursor);
  }
}
