import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

// Without the setting in node.ts, there is a folder "Microsoft" with an identifier and a database of what is to be sent.
test("the engine leaves nothing with which it would report to its maker", () => {
  const home = mkdtempSync(join(tmpdir(), "guidestar-test-"));
  const program = `
    import { openBackend } from ${source("runtime/node.ts")};
    import { compile } from ${source("runtime/compile.ts")};
    import { f32, trace } from ${source("tensor/trace.ts")};
    const backend = await openBackend();
    await compile(trace({ x: f32(1) }, ({ x }) => ({ y: x.neg() })), backend);
    process.exit();`;
  try {
    // As a user's process: variables of continuous integration would turn it off as well.
    const env = { PATH: process.env.PATH, HOME: home, XDG_CACHE_HOME: join(home, "cache") };
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
    expect(status, stderr).toBe(0);
    const left = readdirSync(home, { recursive: true, encoding: "utf8" });
    expect(left).toContain(join("cache", "guidestar", "programs"));
    expect(left.filter((path) => !path.includes("guidestar") && path !== "cache")).toEqual([]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
