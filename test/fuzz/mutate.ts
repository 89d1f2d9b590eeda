/** Random numbers of one case: the same for the same seed and index (mulberry32 of both). */
export interface Chance {
  /** A whole number from 0 to `below` - 1. */
  whole(below: number): number;
  /** One of them. */
  one<T>(values: readonly T[]): T;
}

export function chance(seed: number, index: number): Chance {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (below: number): number => Math.floor(next() * below);
  return { whole, one: (values) => values[whole(values.length)]! };
}

/** What lengths, counts and offsets are set to. */
const SIZES = [
  ...[0n, 1n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x10000n, 0x7fffffffn, 0x80000000n, 0xffffffffn],
  ...[0x100000000n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n, 1000n, 100_000_000n],
];
const NUMBERS = [
  "0",
  "-1",
  "1",
  "9",
  "65535",
  "65536",
  "2147483648",
  "4294967295",
  "9007199254740993",
  "1e309",
  "99999999999999999999",
];

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const noise = (count: number, { whole }: Chance): Uint8Array => Uint8Array.from({ length: count }, () => whole(256));

type Mutation = (bytes: Uint8Array, chance: Chance, other: Uint8Array) => Uint8Array;

const changed =
  (change: (copy: Uint8Array, chance: Chance) => void): Mutation =>
  (bytes, chance) => {
    const copy = new Uint8Array(bytes);
    if (copy.length > 0) change(copy, chance);
    return copy;
  };

/** A place in a file: as likely near its start or its end, where headers and directories are, as anywhere. */
const place = (length: number, { whole, one }: Chance): number => {
  const near = Math.min(length, 64);
  return one([whole(length), whole(near), length - 1 - whole(near)]);
};

const MUTATIONS: readonly Mutation[] = [
  // A bit, a byte, a few bytes.
  changed((copy, c) => {
    copy[place(copy.length, c)]! ^= 1 << c.whole(8);
  }),
  changed((copy, c) => {
    copy[place(copy.length, c)] = c.one([0, 1, 0x7f, 0x80, 0xff, c.whole(256)]);
  }),
  changed((copy, c) => copy.set(noise(Math.min(8, copy.length), c), Math.max(0, place(copy.length, c) - 8))),
  // A number in binary: lengths, counts, offsets.
  changed((copy, c) => {
    const [value, width, little] = [c.one(SIZES), c.one([2, 4, 4, 8]), c.whole(2) === 0];
    const at = place(copy.length, c);
    const digits = Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
    copy.set((little ? digits : digits.toReversed()).slice(0, copy.length - at), at);
  }),
  // A number in text.
  (bytes, c) => {
    const text = Buffer.from(bytes).toString("latin1");
    const found = [...text.matchAll(/\d+/g)];
    if (found.length === 0) return bytes;
    const { index, 0: digits } = c.one(found.slice(0, 200));
    return new Uint8Array(
      Buffer.from(text.slice(0, index) + c.one(NUMBERS) + text.slice(index + digits.length), "latin1"),
    );
  },
  // Cut, grown, moved.
  (bytes, c) => bytes.slice(0, place(bytes.length, c)),
  (bytes, c) => bytes.slice(c.whole(Math.min(bytes.length, 16) + 1)),
  (bytes, c) => {
    const at = place(bytes.length, c);
    return join(bytes.slice(0, at), noise(1 + c.whole(40), c), bytes.slice(at));
  },
  (bytes, c) => {
    const at = place(bytes.length, c);
    return join(bytes.slice(0, at), bytes.slice(at + 1 + c.whole(40)));
  },
  (bytes, c) => {
    const [from, at] = [place(bytes.length, c), place(bytes.length, c)];
    return join(bytes.slice(0, at), bytes.slice(from, from + 1 + c.whole(200)), bytes.slice(at));
  },
  // Spliced with another file of the kind.
  (bytes, c, other) => {
    const at = place(bytes.length, c);
    return join(bytes.slice(0, at), other.slice(c.one([at, place(Math.max(1, other.length), c)])));
  },
  (bytes, _, other) => join(bytes, other),
];

/** Changes bytes in one to four ways. `other` is another file of the kind. */
export function mutated(bytes: Uint8Array, chance: Chance, other: Uint8Array): Uint8Array {
  let result = bytes;
  for (let times = chance.one([1, 1, 2, 4]); times > 0; times--)
    if (result.length > 0) result = chance.one(MUTATIONS)(result, chance, other);
  return result;
}

const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    1,
    -1,
    2,
    0.5,
    1e-320,
    1e300,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    65536,
    1_000_000,
    Number.MIN_VALUE,
  ],
  ...["", "x", "constructor", "__proto__", "toString", "../../x", "a\nb\u001b[31m", "é".repeat(5000)],
  ...[[], {}, [[]], [null], { length: 1e9 }, [1e9, 1e9, 1e9], Array.from({ length: 3000 }, () => 1)],
];

function deep(levels: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** The places of a JSON value, not deeper than anybody's are, as the object that holds it and its key. */
function places(value: unknown, deepest = 20): { holder: Record<string, unknown>; key: string }[] {
  if (typeof value !== "object" || value === null || deepest === 0) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...places(holder[key], deepest - 1)]);
}

/** A JSON value with one to four places changed: other types, keys that are missing or unknown, huge numbers, deep nesting. */
export function mutatedJson(value: unknown, chance: Chance): unknown {
  const copy = structuredClone(value);
  for (let times = chance.one([1, 1, 1, 2, 4]); times > 0; times--) {
    const all = places(copy);
    if (all.length === 0) return copy;
    const { holder, key } = chance.one(all);
    const now = holder[key];
    const ways: (() => void)[] = [
      () => delete holder[key],
      () => (holder[key] = structuredClone(chance.one(VALUES))),
      () => (holder[key] = structuredClone(chance.one(VALUES))),
      () => (holder[key] = deep(chance.one([3, 50, 1000]))),
      () => (holder[`${key}${chance.one(["", "2", "\n"])}`] = structuredClone(chance.one(VALUES))),
      () => (holder[key] = structuredClone(chance.one(all).holder)),
      () => (holder[key] = Array.isArray(now) ? [...now, ...now, structuredClone(chance.one(VALUES))] : [now]),
      () => (holder[key] = typeof now === "number" ? now * chance.one([-1, 2, 0.5, 1e6, 1e12]) : String(now)),
    ];
    chance.one(ways)();
  }
  return copy;
}
