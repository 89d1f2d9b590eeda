// Runs a task on a fresh clone: checks Node, installs packages and builds where needed, then starts it.
// Plain JavaScript without dependencies, for it runs before there are any.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  const found = `this is Node ${process.versions.node}`;
  console.error(`Guidestar needs Node 20.19 or newer, but ${found}. Install a newer one: https://nodejs.org`);
  process.exit(1);
}

/** A line about the set-up; on stderr, so that the task's own output can be piped. */
const say = (line) => console.error(`\n> ${line}`);

/** Runs a command, its output shown, and gives its exit code. */
const run = (command, args, options) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    // A terminal interrupts the whole process group: the child ends as it sees fit, and this process waits for it.
    const forward = (signal) => signal !== "SIGINT" && child.kill(signal);
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    child.on("error", (error) => {
      console.error(`${command} could not be started: ${error.message}`);
      resolve(1);
    });
    child.on("exit", (code, signal) => {
      for (const each of signals) process.off(each, forward);
      resolve(code ?? (signal === "SIGINT" ? 130 : 1));
    });
  });

const node = (args, options) => run(process.execPath, args, options);
const tool = (path, ...args) => node([join("node_modules", path), ...args]);

/** The npm that called this script, or else the one on the path, which on Windows only a shell finds. */
function npm(...args) {
  const path = process.env.npm_execpath ?? "";
  return basename(path) === "npm-cli.js"
    ? node([path, ...args])
    : run("npm", args, { shell: process.platform === "win32" });
}

/** When a file, or anything in a folder, last changed, in ms; 0 where there is none. Folders count too: a file may have gone. */
function changed(...path) {
  const place = join(root, ...path);
  if (!existsSync(place)) return 0;
  const stats = statSync(place);
  const inside = stats.isDirectory() ? readdirSync(place).map((name) => changed(...path, name)) : [];
  return Math.max(stats.mtimeMs, ...inside);
}

/** npm writes node_modules/.package-lock.json last. */
async function install() {
  if (changed("node_modules", ".package-lock.json") >= changed("package-lock.json")) return 0;
  say("npm ci");
  return npm("ci", "--include=dev", "--no-audit", "--no-fund");
}

/** The compiler writes every file at each build, so the newest of a room of dist tells when that was. */
async function build() {
  const sources = Math.max(changed("src"), changed("tsconfig.json"), changed("tsconfig.build.json"));
  if (changed("dist", "cli") >= sources) return 0;
  say("build");
  return tool("typescript/bin/tsc", "-p", "tsconfig.build.json");
}

/** The page that `guidestar page` copies, built of the built package. */
async function buildPage() {
  if (changed("dist", "page") >= Math.max(changed("page"), changed("dist", "cli"))) return 0;
  say("build of the page");
  return tool("vite/bin/vite.js", "build", "page", "--logLevel", "warn");
}

/** What npm would publish, looked at as other packages and their compilers see it. */
async function checkPackage() {
  const folder = mkdtempSync(join(tmpdir(), "guidestar-pack-"));
  try {
    const packed = await npm("pack", "--silent", "--ignore-scripts", "--pack-destination", folder);
    if (packed !== 0) return packed;
    const [archive] = readdirSync(folder).map((name) => join(folder, name));
    const codes = [
      await tool("publint/src/cli.js", archive, "--strict"),
      await tool(
        "@arethetypeswrong/cli/dist/index.js",
        archive,
        "--profile",
        "esm-only",
        "--format",
        "table-flipped",
        "--no-emoji",
      ),
    ];
    return Math.max(...codes);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const guidestar = (args, options) => node([join(root, "dist", "cli", "main.js"), ...args], options);

/** Every stage runs, the tests last, so that their summary ends the output. The first failure gives the exit code. */
async function test(args) {
  const stages = {
    "type check": async () =>
      (await tool("typescript/bin/tsc", "--noEmit")) ||
      tool(
        "svelte-check/bin/svelte-check",
        "--workspace",
        "page",
        "--tsconfig",
        "./tsconfig.json",
        "--fail-on-warnings",
      ),
    lint: () => tool("@biomejs/biome/bin/biome", "check", "."),
    package: async () => (await build()) || (await buildPage()) || checkPackage(),
    tests: async () => (await build()) || (await buildPage()) || tool("vitest/vitest.mjs", "run", ...args),
  };
  const failures = [];
  for (const [name, stage] of Object.entries(stages)) {
    say(name);
    const code = await stage();
    if (code !== 0) failures.push({ name, code });
  }
  if (failures.length > 0) say(`failed: ${failures.map(({ name }) => name).join(", ")}`);
  return failures[0]?.code ?? 0;
}

/** A sheet of each model that comes with the package: two of each class. */
const demo = [
  ["digits", "20"],
  ["tiles", "24"],
].map(([model, count]) => {
  const out = join("out", `${model}.png`);
  return (args) => guidestar(["sample", "--model", model, "--class", "all", "--count", count, "--out", out, ...args]);
});

const tasks = {
  demo: async (args) => (await build()) || (await demo[0](args)) || demo[1](args),
  test,
  docs: () => tool("typedoc/bin/typedoc"),
  bench: async (args) => (await build()) || node(["--import", "tsx", join("bench", "main.ts"), ...args]),
  claims: async (args) => (await build()) || node(["--import", "tsx", join("bench", "claims", "main.ts"), ...args]),
  // From where the caller stands: npm moves to the root.
  guidestar: async (args) =>
    (await build()) || (args[0] === "page" && (await buildPage())) || guidestar(args, { cwd: process.env.INIT_CWD }),
};

checkNode();
const [name, ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tasks).join(" | ")} [arguments]`);
  process.exit(2);
}
process.exitCode = (await install()) || (await tasks[name](args));
