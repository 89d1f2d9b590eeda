/**
 * A value of a pickle whose class is none that we read: numpy's scalars, an argparse.Namespace, whatever else. Nothing of it is executed or
 * interpreted; only its name is known, and where it is a dictionary of some kind, what is in it.
 */
export class Opaque {
  /** Full name of its class, or of the function that would make it. */
  readonly name: string;
  /** Keys and values that were set on it. */
  readonly items = new Map<unknown, unknown>();
  constructor(name: string) {
    this.name = name;
  }
}
