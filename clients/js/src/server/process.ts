import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { StreamManagerError } from "../errors.js";

/** Lines of its log that are kept, and milliseconds that it has to stop. */
const LINES = 500;
const PATIENCE = 15_000;
/** Milliseconds between two looks whether it is ready. */
const LOOK = 20;

/** Those that run, with their folders; they end with this process. */
const running = new Map<ChildProcess, string>();
let watching = false;

/** What it says when it is ready. */
export interface ReadyFacts {
  url: string;
  tlsUrl: string | null;
  port: number;
  pid: number;
  version: string;
}

/** A running `smproxy serve`. It ends with this process, also when that is killed. */
export class ServerProcess {
  ready: ReadyFacts = { url: "", tlsUrl: null, port: 0, pid: 0, version: "" };
  /** How many lines it has written, and the last of them. */
  written = 0;
  private lines: string[] = [];
  private readonly exited: Promise<void>;
  /** How it ended, once it has. */
  ended: string | undefined;
  private stopping = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly command: string,
  ) {
    this.exited = new Promise((resolve) => {
      const end = (how: string) => {
        running.delete(child);
        this.ended ??= how;
        resolve();
      };
      child.once("error", (error) => end(error.message));
      child.once("close", (code, signal) => end(code === null ? `${signal}` : `exit code ${code}`));
    });
    let rest = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.written += lines.length;
      this.lines = [...this.lines, ...lines].slice(-LINES);
    });
  }

  /** Start one and wait until it is ready; `folder` is an empty one for its ready file. */
  static async start(
    command: string,
    options: readonly string[],
    { env, folder, timeout }: { env: Readonly<Record<string, string>>; folder: string; timeout: number },
  ): Promise<ServerProcess> {
    const readyFile = join(folder, "ready.json");
    // Its own parent watch covers the case that this process is killed.
    const child = spawn(command, ["serve", "--exit-with-parent", `--ready-file=${readyFile}`, ...options], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
      windowsHide: true,
    });
    running.set(child, folder);
    endWithThisProcess();
    const server = new ServerProcess(child, command);
    const deadline = performance.now() + timeout;
    while (performance.now() < deadline && server.ended === undefined) {
      const facts = await read(readyFile);
      if (facts !== undefined) {
        server.ready = facts;
        server.unref();
        return server;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    const how = server.ended;
    await server.stop();
    const what = how === undefined ? `was not ready within ${timeout / 1000} s` : `ended before it was ready (${how})`;
    throw new StreamManagerError(`${command} ${what}\n${server.tail()}`.trimEnd());
  }

  /** Return what it has written after so many lines: its log, of which the last lines are kept. */
  output(after = 0): string {
    return this.lines.slice(Math.max(0, after - this.written + this.lines.length)).join("\n");
  }

  /** Say why it does not answer, when that is because it has ended. */
  explain(): string | undefined {
    if (this.stopping) return "the stream manager was stopped";
    if (this.ended === undefined) return undefined;
    return `the stream manager ended (${this.command}: ${this.ended})\n${this.tail()}`.trimEnd();
  }

  /** End it and wait until it is gone. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.ended !== undefined) return;
    this.child.ref();
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE);
    await this.exited;
    clearTimeout(late);
  }

  /** A test that forgets to stop it does not hang: Node may end while it runs, and takes it along. */
  private unref(): void {
    this.child.unref();
    (this.child.stderr as Socket | null)?.unref();
  }

  private tail(): string {
    return this.lines.slice(-10).join("\n");
  }
}

function endWithThisProcess(): void {
  if (watching) return;
  watching = true;
  process.once("exit", () => {
    for (const [child, folder] of running) {
      child.kill("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** Read what is said of a stream manager that is ready; `undefined` while it is not. The file is there as a whole. */
async function read(file: string): Promise<ReadyFacts | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as ReadyFacts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
