import { UsageError } from "./errors.ts";

/*
 * Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
 *
 * A block of four 32-bit words is a function of a key and a counter, so nothing is ever advanced, saved or restored:
 *   key     = [seed low, seed high]                                  the 32-bit halves of the seed
 *   counter = [block low, block high, stream low, stream high]       word w of a stream is word w mod 4 of block floor(w / 4)
 * Uniforms, integers and permutations spend two words on an element, normals one. Element i of (seed, stream) is the same however
 * many are asked for. Two functions given the same (seed, stream) read the same words: give every purpose a stream of its own.
 */

const WORD = 2 ** 32;

/** High 32 bits of a * b, both unsigned 32-bit; every intermediate stays below 2^53. */
const multiplyHigh = (a: number, b: number): number =>
  Math.floor((a * (b >>> 16) + Math.floor((a * (b & 0xffff)) / 0x10000)) / 0x10000);

/** Ten rounds of Philox 4x32: counter (four words) and key (two words), unsigned 32-bit -> four unsigned 32-bit words. */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

function checked(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`${name} must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER} but is ${value}`);
  return value;
}

const halves = (value: number): [number, number] => [value % WORD, Math.floor(value / WORD)];

/** The words of the first `count` elements of (seed, stream), `each` words apiece, rounded up to whole blocks. */
function words(seed: number, stream: number, count: number, each: 1 | 2): Uint32Array {
  const key = halves(checked("seed", seed));
  const [streamLow, streamHigh] = halves(checked("stream", stream));
  const blocks = Math.ceil((checked("count", count) * each) / 4);
  const result = new Uint32Array(4 * blocks);
  for (let block = 0; block < blocks; block++)
    result.set(philox([...halves(block), streamLow, streamHigh], key), 4 * block);
  return result;
}

/** `count` float64 numbers, uniform on [0, 1), multiples of 2^-53. Throws UsageError unless all arguments are whole numbers >= 0. */
export function uniforms(seed: number, stream: number, count: number): Float64Array {
  const w = words(seed, stream, count, 2);
  return Float64Array.from(
    { length: count },
    (_, i) => ((w[2 * i]! >>> 5) * 2 ** 26 + (w[2 * i + 1]! >>> 6)) / 2 ** 53,
  );
}

/**
 * `count` independent draws of N(0, 1): Box & Muller, 1958, in float64, rounded to float32. Elements 2j and 2j + 1 are the cosine and
 * the sine of words 2j and 2j + 1. Engines may differ in the last bit of log, cos and sin: almost always the same float32.
 */
export function normals(seed: number, stream: number, count: number): Float32Array {
  const w = words(seed, stream, count, 1);
  const result = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((w[i]! + 1) / WORD)); // the argument is in (0, 1]
    const angle = (2 * Math.PI * w[i + 1]!) / WORD;
    result[i] = radius * Math.cos(angle);
    if (i + 1 < count) result[i + 1] = radius * Math.sin(angle);
  }
  return result;
}

/** `count` whole numbers, uniform on 0 .. bound - 1; the bias is below bound / 2^53. */
export function integers(seed: number, stream: number, count: number, bound: number): Uint32Array {
  if (!Number.isInteger(bound) || bound < 1 || bound > WORD)
    throw new UsageError(`bound must be a whole number from 1 to 2^32 but is ${bound}`);
  return Uint32Array.from(uniforms(seed, stream, count), (u) => Math.floor(u * bound));
}

/** The numbers 0 .. count - 1 in random order, every order equally likely (Fisher & Yates, inside out). */
export function permutation(seed: number, stream: number, count: number): Uint32Array {
  const u = uniforms(seed, stream, count);
  const result = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const j = Math.floor(u[i]! * (i + 1));
    result[i] = result[j]!;
    result[j] = i;
  }
  return result;
}
