/** Does work, and says how long the page's longest task was meanwhile, in ms; tasks of less than 50 count as none. */
export async function longestTask<T>(work: () => Promise<T>): Promise<{ value: T; longest: number }> {
  const tasks: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) tasks.push(duration);
  });
  observer.observe({ entryTypes: ["longtask"] });
  const value = await work();
  await new Promise((resolve) => setTimeout(resolve, 100));
  observer.disconnect();
  return { value, longest: Math.max(0, ...tasks) };
}
