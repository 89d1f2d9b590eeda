import { ModelError } from "../../errors.ts";
import type { Cursor } from "./cursor.ts";
import { Opaque } from "./opaque.ts";

/** What a pickle may refer to. Python's dictionaries come as Maps, lists and tuples as arrays, None as null. */
export interface PickleNames {
  /**
   * Stand-ins for the globals that are known, by full name; where one is a function, the pickle may call it with a list of arguments. All
   * others are opaque, as is what calling them gives.
   */
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

  /** Takes the value on top away; a mark too. */
  drop(): void {
    if (this.#stack.length === 0) throw this.damaged("a value is missing");
    this.#stack.pop();
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
    const top = this.top();
    const target = top instanceof Opaque ? top.items : top;
    if (!(target instanceof Map) || items.length % 2 !== 0) throw this.damaged("items without a dictionary");
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  /** Adds elements to the list or set on top. */
  append(items: readonly unknown[]): void {
    const target = this.top();
    if (target instanceof Opaque) return;
    if (!Array.isArray(target)) throw this.damaged("elements without a list");
    for (const item of items) target.push(item);
  }

  pushGlobal(name: string): void {
    const { globals } = this.names;
    this.push(globals.has(name) ? globals.get(name) : new Opaque(name));
  }

  /** Calls a global that is known with a list of arguments; a call of any other is opaque. */
  call(callable: unknown, args: unknown): void {
    if (callable instanceof Opaque) this.push(new Opaque(callable.name));
    else if (typeof callable === "function" && Array.isArray(args)) this.push(callable(args));
    else throw this.fail("calls something that is not a function; refused");
  }
}
