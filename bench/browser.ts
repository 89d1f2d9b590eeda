import { fileURLToPath } from "node:url";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { openBackend } from "../src/runtime/node.ts";
import { chromiumPath, launch, openPage, testSite } from "../test/web/support/browser.ts";
import type { BenchInPage } from "./browser-page.ts";
import { samplingStep, trainingStep } from "./browser-work.ts";

const rounds = 3;
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Speed in Chromium on WebAssembly beside Node, in turn, with one thread and with two; how soon the first picture is there. */
export async function browser(): Promise<void> {
  if (chromiumPath === undefined) {
    console.log("browser: there is no Chromium; on Debian, `apt-get install chromium` brings one");
    return;
  }
  await using site = await testSite({ page: fileURLToPath(new URL("./browser-page.ts", import.meta.url)) });
  const chromium = await launch({ gpu: false });
  const model = await loadModel("digits");
  try {
    const open = () => openPage<BenchInPage>(chromium, site.url);
    const first: { cold: number; warm: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const { page, run, ready, close } = await open();
      const cold = await run("first");
      await page.reload();
      await ready();
      first.push({ cold, warm: await run("first") });
      await close();
    }
    const seconds = (kind: "cold" | "warm"): string => median(first.map((each) => each[kind])).toFixed(2);
    console.log(`first picture of digits from localhost: cold ${seconds("cold")} s, warm ${seconds("warm")} s`);

    const { run } = await open();
    const ratios = new Map<string, number[]>();
    const longest = new Map<string, number[]>();
    const note = (to: Map<string, number[]>, name: string, value: number): void =>
      void to.set(name, [...(to.get(name) ?? []), value]);
    for (let round = 0; round < rounds; round++)
      for (const threads of [1, 2]) {
        await using backend = await openBackend({ threads });
        for (const [what, inNode] of [
          ["sampling", () => samplingStep(model, backend)],
          ["training", () => trainingStep(backend)],
        ] as const) {
          const node = await inNode();
          const page = await run(what, threads);
          note(ratios, `${what}, ${threads} thread${threads > 1 ? "s" : ""}`, node / page.seconds);
          note(longest, what, page.longest);
        }
      }
    for (const [name, values] of ratios)
      console.log(`${name}: ${median(values).toFixed(2)} of the speed in Node with as many threads`);
    for (const [name, values] of longest)
      console.log(`${name}: longest task on the page's own thread ${Math.max(...values).toFixed(0)} ms`);
  } finally {
    await chromium.close();
  }
}
