/** Something that a schema found wrong. */
export interface SchemaProblem {
  /** Keys that lead to the wrong value. */
  readonly path: readonly PropertyKey[];
  /** What was expected, as a sentence. */
  readonly message: string;
}

/** What schemas found wrong below a path, as one line: where each problem is, and what was expected. */
export const describeProblems = (
  { issues }: { readonly issues: readonly SchemaProblem[] },
  below: readonly string[] = [],
): string =>
  issues
    .slice(0, 4)
    .map(({ path, message }) => [[...below, ...path].map(String).join("."), message].filter(Boolean).join(": "))
    .join("; ");
