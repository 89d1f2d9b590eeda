import { expect, test } from "vitest";
import { RuntimeFailure } from "../../src/errors.ts";
import { Conversation } from "../../src/runtime/conversation.ts";
import type { Asked } from "../../src/runtime/programs.ts";

function conversation() {
  const asked: Asked[] = [];
  const held: boolean[] = [];
  let ended = 0;
  const thread = new Conversation(
    {
      post: (each) => asked.push(each),
      terminate: async () => ended++,
      hold: (isAwaited) => held.push(isAwaited),
    },
    (error) => `explained: ${error}`,
  );
  return { thread, asked, held, ended: () => ended };
}
const read = { kind: "read", model: 0, names: [] } as const;

test("answers go to those who asked, and errors are explained", async () => {
  const { thread, asked, held } = conversation();
  const [first, second] = [thread.ask(read), thread.ask(read)];
  expect(held).toEqual([true, true]);
  thread.answered({ id: asked[1]!.id, error: "no" });
  thread.answered({ id: asked[0]!.id, result: 5 });
  expect(await first).toBe(5);
  await expect(second).rejects.toThrow(new RuntimeFailure("explained: no"));
  expect(held.at(-1)).toBe(false);
});

test("where the thread is lost, whoever waits and whoever comes later is told why", async () => {
  const { thread } = conversation();
  const waiting = thread.ask(read);
  const lost = new RuntimeFailure("the graphics card was lost");
  thread.failed(lost);
  await expect(waiting).rejects.toBe(lost);
  await expect(thread.ask(read)).rejects.toBe(lost);
  expect(thread.ended).toBe(true);
  await thread.end(); // does not wait for an answer that never comes
});

test("it ends after what was asked before, and takes nothing more", async () => {
  const { thread, asked, ended } = conversation();
  const end = thread.end();
  await expect(thread.ask(read)).rejects.toThrow("the engine is closed");
  expect(ended()).toBe(0);
  thread.answered({ id: asked[0]!.id, result: [] });
  await end;
  expect(ended()).toBe(1);
});
