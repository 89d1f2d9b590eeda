/**
 * Where a browser has no `Symbol.asyncDispose` yet, `await using` of compiled code would throw. This module comes before all others of
 * `guidestar/web`.
 */
const symbols: { dispose?: symbol; asyncDispose?: symbol } = Symbol as never;
for (const name of ["dispose", "asyncDispose"] as const)
  if (symbols[name] === undefined) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });

export {};
