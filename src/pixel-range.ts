/*
 * Pictures as networks see them, values in [-1, 1], and as files hold them, bytes.
 */

/**
 * The byte of a value: (value + 1) 127.5, limited to [0, 255] and truncated, as the reference does. In float32, as the reference
 * computes it: the rounding of each operation decides which byte a value on the edge becomes.
 */
export const byteOf = (value: number): number =>
  Math.min(255, Math.max(0, Math.floor(Math.fround(Math.fround(value + 1) * 127.5))));

/** The value of a byte: byte / 127.5 - 1. */
export const valueOfByte = (byte: number): number => byte / 127.5 - 1;
