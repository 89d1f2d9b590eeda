import { UsageError } from "../errors.ts";

/** To the nearest integer, halves to the even one (IEEE 754), which decides the timesteps that published runs kept. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** `count` timesteps from 0 at the smallest integer stride that gives exactly so many. */
function strided(steps: number, count: number): number[] {
  const countOf = (stride: number): number => Math.ceil(steps / stride);
  const strides = Array.from({ length: Math.max(steps - 1, 1) }, (_, i) => i + 1);
  const stride = strides.find((s) => countOf(s) === count);
  if (stride === undefined) {
    const possible = [...new Set(strides.map(countOf))];
    const near = [possible.findLast((n) => n > count), possible.find((n) => n < count)].filter((n) => n !== undefined);
    const uneven = count < steps ? `, or "${count}" for uneven strides` : "";
    throw new UsageError(
      `respacing "ddim${count}": no integer stride through ${steps} steps gives exactly ${count}; ` +
        `use ddim${near.join(" or ddim")}${uneven}`,
    );
  }
  return Array.from({ length: count }, (_, i) => i * stride);
}

/** `count` timesteps spread over start ... start + size - 1, both ends included. */
function spread(start: number, size: number, count: number): number[] {
  if (count > size)
    throw new UsageError(`respacing: a section of ${size} steps cannot give ${count}; ask for at most ${size}`);
  const stride = count > 1 ? (size - 1) / (count - 1) : 1;
  const kept: number[] = [];
  for (let i = 0, at = 0; i < count; i++, at += stride) kept.push(start + roundHalfEven(at));
  return kept;
}

/**
 * The timesteps of a long chain that a shorter one keeps, ascending.
 *
 * @param steps length of the original chain.
 * @param spec `"250"`: so many, spread evenly, with both ends; `"10,10,20"`: so many from each of equal sections;
 *   `"ddim25"`: so many at one integer stride from 0, as in Song et al. 2021.
 * @throws UsageError for a spec of another form or a count that cannot be had; the message names counts that can.
 */
export function spaceTimesteps(steps: number, spec: string): number[] {
  if (!/^(ddim\d+|\d+(,\d+)*)$/.test(spec) || !/[1-9]/.test(spec))
    throw new UsageError(`respacing: expected "250", "10,10,20" or "ddim25" but got "${spec}"`);
  if (spec.startsWith("ddim")) return strided(steps, Number(spec.slice(4)));
  const counts = spec.split(",").map(Number);
  const [size, extra] = [Math.floor(steps / counts.length), steps % counts.length];
  let start = 0;
  return counts.flatMap((count, i) => {
    const length = size + (i < extra ? 1 : 0);
    const kept = spread(start, length, count);
    start += length;
    return kept;
  });
}
