import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type ImportRule, importRules } from "./support/import-rules.ts";
import { findCycle, importsOf } from "./support/imports.ts";

const path = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const imports = importsOf(path("src"));

/** Room of a path in src; "" for the modules at its root. */
const roomOf = (file: string): string => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");

/** How the rules name what is imported: a room, a package without what is inside it, or `node:*`. */
function targetOf(imported: string): string {
  if (imported.startsWith("node:")) return "node:*";
  if (imports.has(imported)) return roomOf(imported);
  return imported.startsWith("@") ? imported.split("/", 2).join("/") : imported.split("/", 1).join();
}

const listed = (may: ImportRule["may"]) => (may === "everything" ? [] : Object.entries(may));

function allowed({ room, may }: ImportRule, file: string, target: string): boolean {
  if (may === "everything" || target === room || target === "") return true;
  const files = may[target];
  return files === "all" || (files?.includes(file.slice(room.length + 1)) ?? false);
}

describe("imports", () => {
  test("every file imports only what the rule of its room allows", () => {
    const forbidden = [...imports].flatMap(([file, imported]) => {
      const rule = importRules.find(({ room }) => room === roomOf(file));
      if (!rule) return [];
      return imported.filter((each) => !allowed(rule, file, targetOf(each))).map((each) => `${file} -> ${each}`);
    });
    expect(forbidden).toEqual([]);
  });

  test("every room has one rule", () => {
    const rooms = new Set([...imports.keys()].map(roomOf).filter((room) => room !== ""));
    expect(importRules.map(({ room }) => room).sort()).toEqual([...rooms].sort());
  });

  test("no rule allows what nothing needs", () => {
    const used = (room: string, target: string, file?: string): boolean =>
      [...imports].some(
        ([from, imported]) =>
          (file === undefined ? roomOf(from) === room : from === `${room}/${file}`) &&
          imported.some((each) => targetOf(each) === target),
      );
    const idle = importRules.flatMap(({ room, may }) =>
      listed(may).flatMap(([target, files]) =>
        (files === "all" ? [undefined] : files)
          .filter((file) => !used(room, target, file))
          .map((file) => `${room}${file ? `/${file}` : ""} -> ${target}`),
      ),
    );
    expect(idle).toEqual([]);
  });

  test("the modules at the root know no room, and only each other", () => {
    const roots = [...imports].filter(([file]) => roomOf(file) === "" && file !== "index.ts");
    expect(roots.flatMap(([, imported]) => imported).filter((each) => targetOf(each) !== "")).toEqual([]);
  });

  test("one file knows sharp, one onnxruntime-node, and one onnxruntime-web", () => {
    for (const name of ["sharp", "onnxruntime-node", "onnxruntime-web"])
      expect(
        [...imports].filter(([, imported]) => imported.includes(name)).map(([file]) => file),
        name,
      ).toHaveLength(1);
  });

  test("there are no cycles, neither of files nor of rooms", () => {
    expect(findCycle(imports)).toBeUndefined();
    expect(
      findCycle(new Map(importRules.map(({ room, may }) => [room, listed(may).map(([target]) => target)]))),
    ).toBeUndefined();
  });

  test("a cycle would be found", () => {
    const graph = new Map(Object.entries({ a: ["b", "c"], b: [], c: ["d"], d: ["b", "c"] }));
    expect(findCycle(graph)).toEqual(["c", "d", "c"]);
  });
});

test("docs/architecture.md prints the rules", () => {
  const source = readFileSync(path("test/support/import-rules.ts"), "utf8");
  const array = source.slice(source.indexOf("export const importRules")).trim();
  expect(readFileSync(path("docs/architecture.md"), "utf8")).toContain(array);
});
