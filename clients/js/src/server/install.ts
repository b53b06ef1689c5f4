import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { StreamManagerError } from "../errors.js";
import { VERSION } from "../generated/names.js";
import { findCommand, onPath, runnable } from "./find.js";

/** Milliseconds that an installation may take. */
const LONGEST = 600_000;

/** What is installed unless told otherwise. */
const PACKAGE = `stream-manager-proxy==${VERSION}`;

/** Return the path of `smproxy`: see `findCommand`; else it is installed, unless `install` forbids it. */
export async function obtainCommand(given?: string, install: boolean | string = true): Promise<string> {
  const found = findCommand(given);
  if (found !== undefined) return found;
  const requirement = typeof install === "string" ? install : PACKAGE;
  if (install === false) throw new StreamManagerError(advice(requirement));
  return installCommand(requirement);
}

/** Install `smproxy` with `uv`, else with `pipx`, into a folder of this user's cache, unless it is there; return its path. */
async function installCommand(requirement: string): Promise<string> {
  const folder = join(cache(), requirement.replace(/[^\w.=-]+/g, "-"));
  const command = join(folder, "bin", "smproxy");
  const there = runnable(command);
  if (there !== undefined) return there;
  const [uv, pipx] = [onPath("uv"), onPath("pipx")];
  if (uv === undefined && pipx === undefined) throw new StreamManagerError(advice(requirement));
  const bin = join(folder, "bin");
  const [program, options, environment] =
    uv !== undefined
      ? [uv, ["tool", "install", "--force", requirement], { UV_TOOL_DIR: folder, UV_TOOL_BIN_DIR: bin }]
      : [pipx as string, ["install", "--force", requirement], { PIPX_HOME: folder, PIPX_BIN_DIR: bin }];
  return locked(folder, async () => {
    const installed = runnable(command); // by another process, meanwhile
    if (installed !== undefined) return installed;
    console.error(`stream-manager-proxy: installing ${requirement} with ${program}, once, into ${folder}`);
    try {
      await promisify(execFile)(program, options, { env: { ...process.env, ...environment }, timeout: LONGEST });
    } catch (error) {
      const { stderr = "", message } = error as Error & { stderr?: string };
      const why = stderr.trim().split("\n").slice(-5).join("\n") || message;
      throw new StreamManagerError(`${program} could not install ${requirement}: ${why}\n${advice(requirement)}`);
    }
    const found = runnable(command);
    if (found !== undefined) return found;
    throw new StreamManagerError(`${program} installed ${requirement}, but there is no ${command}`);
  });
}

function advice(requirement: string): string {
  return (
    "smproxy was not found: neither in SMPROXY nor on the PATH, nor in a .venv of this folder or above. Install it (pip install " +
    `${requirement}), or uv or pipx, which do it for you, or name it: StreamManager.start({ command: "/path/to/smproxy" })`
  );
}

function cache(): string {
  const base = process.platform === "win32" ? process.env["LOCALAPPDATA"] : process.env["XDG_CACHE_HOME"];
  return join(base || join(homedir(), ".cache"), "stream-manager-proxy");
}

/** Do something while no other process does; workers of a test runner start at the same time. */
async function locked<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = `${folder}.lock`;
  mkdirSync(dirname(lock), { recursive: true });
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (!held(lock)) rmSync(lock, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Return whether the process that made the lock is alive. */
function held(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
