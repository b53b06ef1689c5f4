#!/usr/bin/env node
// `npx stream-manager-proxy serve …`: finds smproxy, or installs it, and runs it.
import { spawn } from "node:child_process";
import { obtainCommand } from "./server/install.js";

async function main(): Promise<void> {
  const command = await obtainCommand();
  const child = spawn(command, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  child.once("error", fail);
  child.once("exit", (code, signal) => process.exit(code ?? (signal === null ? 0 : 1)));
}

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

main().catch(fail);
