import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import type { Model } from "../src/checkpoint/model.ts";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { openBackend } from "../src/runtime/node.ts";
import { chromiumPath, launch, openPage, testSite } from "../test/web/support/browser.ts";
import type { BenchInPage } from "./browser-page.ts";
import { samplingStep, trainingStep } from "./browser-work.ts";

const rounds = Number(process.env.ROUNDS ?? 3);
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/**
 * Speed in Chromium on WebAssembly beside Node, in turn, with one thread and with two; how soon the first picture is there. `ROUNDS=1` makes it
 * short.
 */
export async function browser(): Promise<void> {
  if (chromiumPath === undefined) {
    console.log("browser: there is no Chromium; on Debian, `apt-get install chromium` brings one");
    return;
  }
  await using site = await testSite({ page: fileURLToPath(new URL("./browser-page.ts", import.meta.url)) });
  const chromium = await launch({ gpu: false });
  const model = await loadModel("digits");
  try {
    for (const threads of [1, 2]) await compare(chromium, site.url, model, threads);
    await firstPictures(chromium, site.url);
  } finally {
    await chromium.close();
  }
}

/** Time of a step in Node over that in a page, with as many threads. */
async function compare(chromium: Browser, url: string, model: Model, threads: number): Promise<void> {
  const { run, close } = await openPage<BenchInPage>(chromium, url);
  await using backend = await openBackend({ threads });
  for (const [what, inNode] of [
    ["sampling", () => samplingStep(model, backend)],
    ["training", () => trainingStep(backend)],
  ] as const) {
    const ratios: number[] = [];
    const longest: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const node = await inNode();
      const page = await run(what, threads);
      ratios.push(node / page.seconds);
      longest.push(page.longest);
    }
    console.log(
      `${what}, ${threads} thread${threads > 1 ? "s" : ""}: ${median(ratios).toFixed(2)} of the speed in Node; ` +
        `longest task on the page's own thread ${Math.max(...longest).toFixed(0)} ms`,
    );
  }
  await close();
}

/** From the opening of a page to its first digit: of one that was never open before, and of the same one opened again. */
async function firstPictures(chromium: Browser, url: string): Promise<void> {
  const [cold, warm]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const { page, run, ready, close } = await openPage<BenchInPage>(chromium, url);
    cold.push(await run("first"));
    await page.reload();
    await ready();
    warm.push(await run("first"));
    await close();
  }
  console.log(
    `first picture of digits from localhost: cold ${median(cold).toFixed(2)} s, warm ${median(warm).toFixed(2)} s`,
  );
}
