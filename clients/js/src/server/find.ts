import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { StreamManagerError } from "../errors.js";

const WINDOWS = process.platform === "win32";
const SUFFIXES = WINDOWS ? [".exe", ".cmd"] : [""];
const SCRIPTS = WINDOWS ? "Scripts" : "bin";

/** Return a command's path when this file is there and may be run. */
export function runnable(path: string): string | undefined {
  return SUFFIXES.map((suffix) => path + suffix).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

/** Look for a command on the `PATH`. */
export function onPath(name: string): string | undefined {
  return first((process.env["PATH"] ?? "").split(delimiter).filter(Boolean), (folder) => runnable(join(folder, name)));
}

/**
 * Look for `smproxy`: where `given` or `SMPROXY` says, on the `PATH`, then in the virtual environment of this folder (`.venv`, `venv`)
 * or of one above it. Throws when it is not where it was said to be.
 */
export function findCommand(given: string | undefined, folder = process.cwd()): string | undefined {
  const named = given ?? (process.env["SMPROXY"] || undefined);
  if (named !== undefined) {
    const found = /[\\/]/.test(named) ? runnable(resolve(folder, named)) : onPath(named);
    if (found !== undefined) return found;
    const where = given === undefined ? "the variable SMPROXY" : "command";
    throw new StreamManagerError(`${where} names ${named}, which cannot be run: give the path of smproxy`);
  }
  const environments = [
    process.env["VIRTUAL_ENV"],
    ...above(folder).flatMap((each) => [join(each, ".venv"), join(each, "venv")]),
  ];
  return onPath("smproxy") ?? first(environments, (each) => (each ? runnable(join(each, SCRIPTS, "smproxy")) : undefined));
}

/** Return a folder and those above it. */
function above(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...above(parent)];
}

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
