import type { NDArray, Shape } from "../../ndarray.ts";

/** Learned numbers by name. */
export type Weights = Readonly<Record<string, NDArray<"float32">>>;

/** The same record with other values. */
export const mapValues = <T, U>(
  record: Readonly<Record<string, T>>,
  fn: (value: T, key: string) => U,
): Record<string, U> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value, key)]));

/** Shapes of named values. */
export const shapesOf = (values: Readonly<Record<string, { readonly shape: Shape }>>): Record<string, Shape> =>
  mapValues(values, ({ shape }) => shape);
