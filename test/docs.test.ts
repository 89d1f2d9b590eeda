import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { commands } from "../src/cli/program.ts";
import { flagOf } from "../src/cli/terminal/option.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Excerpt {
  readonly file: string;
  readonly lines: readonly string[];
}

/** Lines without their indentation. */
const linesOf = (text: string): string[] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim());

/** Fenced ts blocks that name a file after the language. */
const excerptsOf = (markdown: string): Excerpt[] =>
  [...markdown.matchAll(/^```ts (\S+)\n(.*?)^```$/gms)].map(([, file, code]) => ({
    file: file!,
    lines: linesOf(code!),
  }));

/** Targets of links and images that are files of the repository, without the place inside them. */
const linksOf = (markdown: string): string[] =>
  [...markdown.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!.replace(/#.*/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));

const contains = (lines: readonly string[], part: readonly string[]): boolean =>
  lines.some((_, start) => part.every((line, i) => lines[start + i] === line));

/** Command lines after `npm run guidestar --`. */
const commandLinesOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^npm run guidestar -- (.*)$/gm)].map(([, line]) => line!);

/** Flags of a command line that its command doesn't know; the whole line where there is no such command. */
function unknownFlags(line: string): string[] {
  const definition = commands
    .map((command) => command.definition)
    .find(({ name }) => `${line} `.startsWith(`${name} `));
  if (!definition) return [line];
  const known = Object.keys(definition.options).map(flagOf);
  return line.split(" ").filter((word) => word.startsWith("--") && !known.includes(word));
}

describe.each(documents)("%s", (document) => {
  const markdown = read(document);

  test.each(excerptsOf(markdown))("has the code of $file: $lines.0", ({ file, lines }) => {
    const source = linesOf(read(file));
    expect(contains(source, lines), `these lines are not in ${file}:\n${lines.join("\n")}`).toBe(true);
  });

  test("uses commands and flags that exist", () => {
    expect(commandLinesOf(markdown).flatMap(unknownFlags)).toEqual([]);
  });

  test("links to files that exist", () => {
    expect(linksOf(markdown).filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
  });
});

test("the tour has excerpts, and a changed line would be found", () => {
  const [first] = excerptsOf(read("docs/tour.md"));
  expect(first).toBeDefined();
  const source = linesOf(read(first!.file));
  expect(contains(source, [...first!.lines.slice(0, -1), `${first!.lines.at(-1)} // changed`])).toBe(false);
});

test("an unknown flag or command would be found", () => {
  expect(unknownFlags("train denoiser --data a.zip --steps 3 --sampler ddim")).toEqual(["--sampler"]);
  expect(unknownFlags("draw --count 3")).toEqual(["draw --count 3"]);
});
