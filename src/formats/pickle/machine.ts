import { ModelError } from "../../errors.ts";
import type { Cursor } from "./cursor.ts";

/** What a pickle may refer to. Python's dictionaries come as Maps, lists and tuples as arrays, None as null. */
export interface PickleNames {
  /** Stand-ins for the globals that are allowed, by full name; where one is a function, the pickle may call it with a list of arguments. */
  readonly globals: ReadonlyMap<string, unknown>;
  /** The value of a persistent id. */
  persistent(id: unknown): unknown;
}

const MARK = Symbol("mark");

/** Python's machine for pickles: a stack of values, and a memo of values that come again. It executes nothing but the functions it is given. */
export class Machine {
  readonly cursor: Cursor;
  readonly names: PickleNames;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number | bigint, unknown>();

  constructor(cursor: Cursor, names: PickleNames) {
    this.cursor = cursor;
    this.names = names;
  }

  fail(problem: string): ModelError {
    return new ModelError(`${this.cursor.file}: ${problem}`);
  }

  damaged(problem: string): ModelError {
    return this.fail(`the pickle is damaged (${problem})`);
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    if (this.#stack.length === 0 || this.#stack.at(-1) === MARK) throw this.damaged("a value is missing");
    return this.#stack.pop();
  }

  top(): unknown {
    const value = this.pop();
    this.push(value);
    return value;
  }

  popTuple(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  mark(): void {
    this.push(MARK);
  }

  popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.damaged("a mark is missing");
    return this.#stack.splice(mark).slice(1);
  }

  /** Notes the value on top under a key, by default the next number. */
  put(key: number | bigint = this.#memo.size): void {
    this.#memo.set(key, this.top());
  }

  get(key: number | bigint): void {
    if (!this.#memo.has(key)) throw this.damaged(`it recalls value ${key}, which is not there`);
    this.push(this.#memo.get(key));
  }

  /** Adds keys and values in turn to the dictionary on top. */
  addItems(items: readonly unknown[]): void {
    const target = this.top();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw this.damaged("items without a dictionary");
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  /** Adds elements to the list on top. */
  append(items: readonly unknown[]): void {
    const target = this.top();
    if (!Array.isArray(target)) throw this.damaged("elements without a list");
    for (const item of items) target.push(item);
  }

  pushGlobal(name: string): void {
    if (!this.names.globals.has(name))
      throw this.fail(
        `refers to "${name}", which is refused: only tensors in dictionaries are read, and nothing is executed`,
      );
    this.push(this.names.globals.get(name));
  }

  /** Calls a global that is allowed. */
  reduce(): void {
    const [callable, args] = this.popTuple(2);
    if (typeof callable !== "function" || !Array.isArray(args))
      throw this.fail("calls something that is not a function; refused");
    this.push(callable(args));
  }
}
