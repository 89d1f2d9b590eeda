import { ModelError } from "../errors.ts";
import type { LazyTensor } from "./lazy-tensor.ts";
import { Opaque } from "./pickle/opaque.ts";
import { StoredTensor } from "./torch-tensor.ts";

/** A dictionary of tensors in a checkpoint. */
export interface StateDict {
  /** Keys that lead to it, with dots between: "model", "ema"; empty where the file is one. */
  readonly path: string;
  readonly tensors: Readonly<Record<string, LazyTensor>>;
  /** Weights in it that cannot be read, and the class of each. Whatever else lies beside tensors is left out. */
  readonly unread: Readonly<Record<string, string>>;
}

/** A value in a message. Of others than text and numbers nothing is shown: tuples of one tuple twice, many deep, are text without end. */
export const shown = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "something else";

const advice = "write it with torch.save(model.state_dict(), FILE)";

/** Deeper in a checkpoint lies nobody's state dict. */
const DEEPEST = 5;

const itemsOf = (value: unknown): ReadonlyMap<unknown, unknown> | undefined =>
  value instanceof Map ? value : value instanceof Opaque && value.items.size > 0 ? value.items : undefined;

const isOptimizerState = (items: ReadonlyMap<unknown, unknown>): boolean =>
  items.has("state") && items.has("param_groups");

/** Does an opaque value stand for weights: a tensor of another kind, or something called as weights are? */
const isWeight = (name: string, { name: kind }: Opaque): boolean =>
  /^torch\.(_utils\._rebuild_|Tensor|_tensor\b|nn\.parameter\b)/.test(kind) || /\.(weight|bias)$/.test(name);

export const unreadTensor = (file: string, name: string, kind: string): ModelError =>
  new ModelError(
    `${file}: tensor "${name}" is of "${kind}", which is not read: only plain tensors are, and nothing is executed; ` +
      "save it as a tensor of float32, float16 or bfloat16",
  );

/**
 * All dictionaries of tensors in what a checkpoint holds, in its order.
 *
 * @throws ModelError where there is none, which says what there is
 */
export function stateDictsOf(object: unknown, file: string): StateDict[] {
  const found: StateDict[] = [];
  const seen = new Set<unknown>();
  const walk = (value: unknown, path: string, depth: number): void => {
    const items = itemsOf(value);
    if (!items || isOptimizerState(items) || depth > DEEPEST || seen.has(items)) return;
    seen.add(items);
    const named = [...items].filter((entry): entry is [string, unknown] => typeof entry[0] === "string");
    const tensors = named.filter((entry): entry is [string, StoredTensor] => entry[1] instanceof StoredTensor);
    const unread = named.flatMap(([name, value]) =>
      value instanceof Opaque && isWeight(name, value) ? [[name, value.name] as const] : [],
    );
    if (tensors.length > 0 || (unread.length > 0 && unread.length === named.length))
      found.push({ path, tensors: Object.fromEntries(tensors), unread: Object.fromEntries(unread) });
    for (const [key, inner] of items) walk(inner, path === "" ? shown(key) : `${path}.${shown(key)}`, depth + 1);
  };
  walk(object, "", 0);
  if (found.length === 0) throw nothingThere(object, file);
  return found;
}

/** What is said of a file without weights. */
function nothingThere(object: unknown, file: string): ModelError {
  const items = itemsOf(object);
  if (!items) {
    const kind =
      object instanceof Opaque ? `"${object.name}"` : object instanceof StoredTensor ? "one tensor" : "something else";
    return new ModelError(
      `${file}: expected a state dict (names and tensors), but it holds ${kind}, of which nothing is executed; ${advice}`,
    );
  }
  if (isOptimizerState(items))
    return new ModelError(
      `${file}: this is an optimizer's state, not weights; give the file of the model or of its moving average (such as ema_*.pt)`,
    );
  const [odd] = items;
  if (odd === undefined)
    return new ModelError(`${file}: expected a state dict (names and tensors) but it is empty; ${advice}`);
  const [name, value] = odd;
  return new ModelError(
    `${file}: "${shown(name)}" is ${value instanceof Opaque ? `of "${value.name}"` : "not a tensor"}; expected a state dict (names and ` +
      `tensors), also under an entry such as "model"; ${advice}`,
  );
}

/** The only state dict, or the one under `entry`. Throws ModelError where there are several, or none of that name. */
export function chooseStateDict(found: readonly StateDict[], file: string, entry: string | undefined): StateDict {
  const names = found.map(({ path }) => path || "the file itself").join(", ");
  const chosen = entry === undefined ? found : found.filter(({ path }) => path === entry);
  if (chosen.length === 1) return chosen[0]!;
  if (entry !== undefined)
    throw new ModelError(`${file}: no entry "${entry}" that is a state dict; there are: ${names}`);
  throw new ModelError(`${file}: holds several state dicts: ${names}; say which one is meant (--entry NAME)`);
}
