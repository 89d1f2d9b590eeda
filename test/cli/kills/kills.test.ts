import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder, writeImages } from "../world.ts";
import { longCommands } from "./commands.ts";
import { endAll, killAtRandom, type Place, prepare } from "./kill.ts";

/*
 * Long commands, killed at random moments by SIGKILL, SIGHUP and SIGTERM in turn, and run again until they end by themselves: the results are
 * those of a run that was left alone, nothing is left behind, and a model that is in the folder can be loaded at any moment.
 *
 *   GUIDESTAR_KILLS=100 npx vitest run test/cli/kills               100 of each command; prints what they hit
 *   GUIDESTAR_KILLS=100 npx vitest run test/cli/kills -t sweep      of one command
 *   GUIDESTAR_KILL_SEED=7                                       other moments
 *
 * Another long command is another line of `longCommands`.
 */
const kills = Number(process.env.GUIDESTAR_KILLS ?? 2);
const seed = Number(process.env.GUIDESTAR_KILL_SEED ?? 1);

const folder = temporaryFolder();
let place: Place;
beforeAll(async () => {
  await writeImages(`${folder.path}/images`);
  place = await prepare(folder.path);
});
afterAll(endAll);

describe.skipIf(process.platform === "win32")("killed at random moments, and run again, ends as if left alone:", () => {
  const cases = longCommands.map((command, stream) => ({ ...command, stream }));
  test.each(cases)("$name", { timeout: 120_000 + 20_000 * kills }, async ({ stream, ...command }) => {
    const { failures, ...figures } = await killAtRandom(command, place, { kills, seed, stream });
    if (kills > 10) console.log(`${command.name}: ${JSON.stringify(figures)}`);
    expect(failures).toEqual([]);
    expect(figures.kills + figures.ended).toBe(kills);
  });
});
