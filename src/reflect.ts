/** Index in 0 .. n - 1 of position i of a line continued by reflection at both ends, which stay single: 2 1 | 0 1 2 | 1 0. */
export const reflect = (i: number, n: number): number => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);
