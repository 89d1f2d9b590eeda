/**
 * Milliseconds that processors worked for this process, which others on the machine don't change. With one thread these are the milliseconds of a
 * clock, where nothing else runs.
 */
export function worked(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
