/**
 * Every figure about speed that the README quotes: `npm run bench`, or one part of it: `npm run bench -- engine|memory|large|start|command-line|samplers|browser`.
 * `npm run bench -- quality --data ...` is apart: how good pictures are after minutes of training, by recipe.
 * Timings on shared machines drift, so programs run in turn and each figure is the median of ratios within a round.
 */
import { browser } from "./browser.ts";
import { commandLine } from "./command-line.ts";
import { engine } from "./engine.ts";
import { large } from "./large.ts";
import { memory } from "./memory.ts";
import { quality } from "./quality/quality.ts";
import { samplers } from "./samplers.ts";
import { start } from "./start.ts";

const parts = { engine, memory, large, start, "command-line": commandLine, samplers, browser };

const wanted = process.argv.slice(2);
if (wanted[0] === "quality") await quality(wanted.slice(1));
else await speed(wanted);

async function speed(wanted: readonly string[]): Promise<void> {
  // Each part compiles what it measures, as a first start does.
  process.env.GUIDESTAR_PROGRAM_CACHE = "off";
  const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) {
    console.error(`bench: there is no part "${unknown}"; the parts are quality, ${Object.keys(parts).join(", ")}`);
    process.exit(2);
  }
  for (const [name, part] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await part();
}
