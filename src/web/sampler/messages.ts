import {
  DataError,
  type ErrorCode,
  type GuidestarError,
  ModelError,
  RuntimeFailure,
  UsageError,
} from "../../errors.ts";
import type { Work } from "./work.ts";

/** What a page sends to its worker: a call, or that the call of a number is to stop. */
export type Request =
  | { readonly id: number; readonly call: keyof Work; readonly args: readonly unknown[] }
  | { readonly stop: number };

/** An error as it passes between threads. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly code: string;
}

/** What the worker sends: what a call tells on its way, and how it ended. */
export type Answer =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError };

const classes: Partial<Record<ErrorCode, new (message: string) => GuidestarError>> = {
  usage: UsageError,
  data: DataError,
  model: ModelError,
  runtime: RuntimeFailure,
};

/** An error of the worker, of the same class. */
export function received({ name, message, code }: SentError): Error {
  const Class = classes[code as ErrorCode];
  return Class ? new Class(message) : new RuntimeFailure(`${name}: ${message}`);
}
