import { UsageError } from "../../errors.ts";
import type { RunTexts } from "../../sampling/run-texts.ts";
import type { SamplerModel } from "./work.ts";

/** Attributes that are not texts of a run. */
const own = ["model", "scale", "guidance", "label", "manual", "wasm-paths", "device", "threads", "worker"] as const;
/** Attributes that every element may have. */
export const usual =
  /^(id|style|slot|part|title|lang|dir|hidden|tabindex|role|is|data-.*|aria-.*|on.*|exportparts|inert|key|ref)$/;

/** Properties that are attributes, and what they are of the attribute's text. */
export const properties: Readonly<Record<string, (text: string | null) => unknown>> = {
  model: (text) => text ?? "",
  label: (text) => text ?? undefined,
  scale: numberOf,
  guidance: (text) => text ?? undefined,
  seed: numberOf,
  count: numberOf,
  sampler: (text) => text ?? undefined,
  steps: numberOf,
  manual: (text) => text !== null,
};

function numberOf(text: string | null): number | undefined {
  return text === null || text === "" ? undefined : Number(text);
}

/** An element's attributes as texts of a run. */
export function textsOf(element: Element, model: SamplerModel): RunTexts {
  const given = Object.fromEntries(
    Array.from(element.attributes, ({ name, value }) => [name, value] as const).filter(
      ([name]) => !usual.test(name) && !(own as readonly string[]).includes(name),
    ),
  );
  const { class: named, ...rest } = given;
  const label = element.getAttribute("label") ?? labelsAmong(named ?? "", model.classes);
  return {
    ...scaleTexts(element.getAttribute("scale"), element.getAttribute("guidance"), model),
    ...rest,
    ...(label !== "" && { class: label }),
  };
}

/** What of the attribute `class` names classes of the model. Frameworks put classes of style sheets beside it. */
function labelsAmong(text: string, classes: readonly string[]): string {
  if (classes.length === 0) return "";
  if (text.trim() === "*" || classes.includes(text.trim())) return text.trim();
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const named = words.filter((word) => classes.includes(word));
  // None: what is meant is said to be no class.
  return named.length > 0 ? named.join(",") : words.join(",");
}

/** The one scale of the element as settings of a run. */
function scaleTexts(scale: string | null, kind: string | null, { guidance }: SamplerModel): RunTexts {
  const chosen = kind ?? (scale === null ? null : (guidance[0] ?? "none"));
  if (chosen === null) return {};
  if (chosen === "classifier") return { "cfg-scale": "1", ...(scale !== null && { "classifier-scale": scale }) };
  if (chosen === "classifier-free") return { "classifier-scale": "0", ...(scale !== null && { "cfg-scale": scale }) };
  if (chosen === "none") return { "cfg-scale": "1", "classifier-scale": "0" };
  throw new UsageError(`guidance must be classifier-free, classifier or none but is "${chosen}"`);
}
