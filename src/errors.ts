/** What went wrong, for the exit code of the command line and for callers that want to react. */
export type ErrorCode = "usage" | "data" | "model" | "runtime" | "shape" | "interrupted";

/** Base of every error that Guidestar throws on purpose: one sentence that says what was expected, what came, and what to do. */
export class GuidestarError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option or argument outside what is allowed. */
export class UsageError extends GuidestarError {
  constructor(message: string, options?: ErrorOptions) {
    super("usage", message, options);
  }
}

/** Images, archives or arrays that cannot be used. */
export class DataError extends GuidestarError {
  constructor(message: string, options?: ErrorOptions) {
    super("data", message, options);
  }
}

/** A model folder or checkpoint that cannot be used. */
export class ModelError extends GuidestarError {
  constructor(message: string, options?: ErrorOptions) {
    super("model", message, options);
  }
}

/** Operands whose shapes do not fit, found while tracing. `path` names the module that was being traced, outermost first. */
export class ShapeError extends GuidestarError {
  readonly problem: string;
  readonly path: readonly string[];
  constructor(problem: string, path: readonly string[] = []) {
    super("shape", path.length > 0 ? `${problem}; at ${path.join(".")}` : problem);
    this.problem = problem;
    this.path = path;
  }
  /** The same error with one more enclosing module named. */
  within(name: string): ShapeError {
    return new ShapeError(this.problem, [name, ...this.path]);
  }
}

/** The engine failed, or a computation left the finite numbers. */
export class RuntimeFailure extends GuidestarError {
  constructor(message: string, options?: ErrorOptions) {
    super("runtime", message, options);
  }
}

/** The system did not take a file: the disk is full, or it may not be written. What was there is as it was. */
export class WriteFailure extends RuntimeFailure {}
