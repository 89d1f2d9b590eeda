/** The page of `npm run bench -- browser`. */
import { loadModel, openBackend, type WebBackend } from "../src/public/web.ts";
import { firstPicture, samplingStep, trainingStep } from "./browser-work.ts";

const open = (threads: number): Promise<WebBackend> => openBackend({ worker: "/worker.js", threads });
const model = () => loadModel("/models/digits/");

/** The longest task of the page's own thread while something is under way, in ms. */
async function longestTask(work: () => Promise<unknown>): Promise<number> {
  const tasks: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) tasks.push(duration);
  });
  observer.observe({ entryTypes: ["longtask"] });
  await work();
  await new Promise((resolve) => setTimeout(resolve, 200));
  observer.disconnect();
  return Math.max(0, ...tasks);
}

const inPage = {
  /** Seconds from the opening of the page to its first picture. */
  async first(): Promise<number> {
    const [backend, digits] = await Promise.all([open(navigator.hardwareConcurrency), model()]);
    await firstPicture(digits, backend);
    return performance.now() / 1000;
  },
  async sampling(threads: number): Promise<{ seconds: number; longest: number }> {
    await using backend = await open(threads);
    const digits = await model();
    let seconds = 0;
    const longest = await longestTask(async () => {
      seconds = await samplingStep(digits, backend);
    });
    return { seconds, longest };
  },
  async training(threads: number): Promise<{ seconds: number; longest: number }> {
    await using backend = await open(threads);
    let seconds = 0;
    const longest = await longestTask(async () => {
      seconds = await trainingStep(backend);
    });
    return { seconds, longest };
  },
};
export type BenchInPage = typeof inPage;
Object.assign(globalThis, { inPage });
