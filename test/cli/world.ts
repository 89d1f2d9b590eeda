import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { runCommandLine } from "../../src/cli/program.ts";
import { encodePng } from "../../src/images/png.ts";

/** What a command line gave. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly messages: string;
}

export interface RunOptions {
  /** Columns of a terminal that is pretended to be there. */
  readonly columns?: number;
  /** Whether the signal was raised before the first line of the command ran. */
  readonly interrupted?: boolean;
  /** Called with every message; may raise the signal as Ctrl-C does. */
  readonly onMessage?: (text: string, interrupt: () => void) => void;
}

/** Runs a command line in this process. */
export async function guidestar(
  argv: readonly string[],
  { columns, onMessage, interrupted = false }: RunOptions = {},
): Promise<Outcome> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new DOMException("interrupted", "AbortError"));
  if (interrupted) interrupt();
  let out = "";
  let messages = "";
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    message: (text: string) => {
      messages += text;
      onMessage?.(text, interrupt);
    },
    columns,
    color: false,
  };
  const code = await runCommandLine(argv, { terminal, signal: controller.signal });
  return { code, out, messages };
}

/** A folder for the tests of a file, removed after them; the cache of data sets is inside it. */
export function temporaryFolder(): { path: string } {
  const folder = { path: "" };
  const before = process.env.XDG_CACHE_HOME;
  beforeAll(async () => {
    folder.path = await mkdtemp(join(tmpdir(), "guidestar-cli-"));
    process.env.XDG_CACHE_HOME = join(folder.path, "cache");
  });
  afterAll(async () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await rm(folder.path, { recursive: true });
  });
  return folder;
}

/** Do two files hold the same bytes? (The comparison of vitest would take seconds for a megabyte.) */
export const sameBytes = async (a: string, b: string): Promise<boolean> =>
  (await readFile(a)).equals(await readFile(b));

/** Images of two classes, 8x8: `dark` ones below, `light` ones above the middle grey. */
export async function writeImages(folder: string, count = 6): Promise<void> {
  for (const [label, name] of ["dark", "light"].entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const data = Uint8Array.from({ length: 64 }, (_, p) => 128 * label + ((p * (i + 3)) % 100));
      await writeFile(join(folder, name, `${i}.png`), encodePng({ width: 8, height: 8, channels: 1, data }));
    }
  }
}
