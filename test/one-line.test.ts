import { expect, test } from "vitest";
import { listed } from "../src/class-names.ts";
import { describeError } from "../src/cli/terminal/errors.ts";
import { DataError, RuntimeFailure } from "../src/errors.ts";
import { oneLine } from "../src/one-line.ts";

test("a message is whole, on one line: names keep their line breaks as escapes, other programs' lines are joined", () => {
  expect(describeError(new DataError("two\nlines/x.png: cannot be decoded (bad seek; gone)"), false)).toBe(
    "two\\nlines/x.png: cannot be decoded (bad seek; gone)",
  );
  expect(describeError(new RuntimeFailure("the engine failed:\n  at node 3\n"), false)).toBe(
    "the engine failed:; at node 3",
  );
  expect(describeError(new TypeError("a\nb"), false)).toBe("TypeError: a; b (--verbose shows where)");
});

test("what a terminal would obey is shown, not done", () => {
  expect(oneLine("a\u001b[31mb\u0007\u009b2J\r\u202ec")).toBe("a\\x1b[31mb\\x07\\x9b2J\\r\\u202ec");
  expect(oneLine("日本語 é 😀")).toBe("日本語 é 😀");
  expect(listed(["cat", "d\to\u0000g"])).toBe("cat, d\\to\\x00g");
});

test("of a long text the middle is left out; its start and its end stay", () => {
  const long = oneLine(`start ${"😀".repeat(1e6)} end`);
  expect(long.length).toBeLessThanOrEqual(1000);
  expect(long).toMatch(/^start 😀+ \.\.\. 😀+ end$/u);
  expect(oneLine(`start ${"\u0000".repeat(900)} end`).length).toBeLessThanOrEqual(1000);
  expect(oneLine("x".repeat(1000))).toBe("x".repeat(1000));
  expect(listed(["n".repeat(5000)]).length).toBeLessThanOrEqual(80);
});
