import { type ChildProcess, spawn } from "node:child_process";
import { StreamManagerError } from "../errors.js";

/** Lines of what the stream manager wrote that are kept, and milliseconds that it has to stop. */
const LINES = 500;
const PATIENCE = 15_000;
const READY = /ws:\/\/(?:[\w.-]+|\[[\da-f:]+\]):(\d+)\/streammanager/;

/** Those that run; they end with this process. */
const running = new Set<ChildProcess>();
let watching = false;

/** A running `smproxy serve`. It ends with this process, also when that is killed. */
export class ServerProcess {
  private lines: string[] = [];
  /** How it ended, once it has. */
  ended: string | undefined;
  private stopping = false;

  private constructor(
    private readonly child: ChildProcess,
    private readonly exited: Promise<void>,
    private readonly command: string,
  ) {}

  /** Start one and wait until it is ready; return it with its port. */
  static async start(
    command: string,
    options: readonly string[],
    { env, timeout }: { env: Readonly<Record<string, string>>; timeout: number },
  ): Promise<[ServerProcess, number]> {
    // Its own parent watch covers the case that this process is killed.
    const child = spawn(command, ["serve", "--exit-with-parent", ...options], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      windowsHide: true,
    });
    running.add(child);
    endWithThisProcess();
    let failed = "";
    const exited = new Promise<void>((resolve) => {
      child.once("error", (error) => {
        failed = error.message;
        resolve();
      });
      child.once("close", () => resolve());
    });
    const server = new ServerProcess(child, exited, command);
    void exited.then(() => {
      running.delete(child);
      server.ended = failed || `exit code ${child.exitCode ?? child.signalCode}`;
    });
    const ready = new Promise<number>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        let rest = "";
        stream?.setEncoding("utf8").on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          server.lines.push(...lines);
          if (server.lines.length > LINES) server.lines = server.lines.slice(-LINES);
          const port = stream === child.stdout ? lines.map((line) => READY.exec(line)?.[1]).find(Boolean) : undefined;
          if (port !== undefined) resolve(Number(port));
        });
      }
    });
    const late = new AbortController();
    try {
      const port = await Promise.race([ready, exited.then(() => undefined), after(timeout, late.signal)]);
      if (port !== undefined) {
        server.lines = [];
        server.unref();
        return [server, port];
      }
    } finally {
      late.abort();
    }
    if (server.ended === undefined) {
      await server.stop();
      throw new StreamManagerError(`${command} was not ready within ${timeout / 1000} s\n${server.tail()}`.trimEnd());
    }
    throw new StreamManagerError(`${command} ended before it was ready (${server.ended})\n${server.tail()}`.trimEnd());
  }

  /** What it has written since it was ready: its log, the last lines of it. */
  get output(): string {
    return this.lines.join("\n");
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
    const late = new AbortController();
    await Promise.race([this.exited, after(PATIENCE, late.signal)]);
    late.abort();
    if (this.ended === undefined) this.child.kill("SIGKILL");
    await this.exited;
  }

  /** A test that forgets to stop it does not hang: Node may end while it runs, and takes it along. */
  private unref(): void {
    this.child.unref();
    for (const stream of [this.child.stdout, this.child.stderr]) (stream as { unref?: () => void } | null)?.unref?.();
  }

  private tail(): string {
    return this.lines.slice(-10).join("\n");
  }
}

function endWithThisProcess(): void {
  if (watching) return;
  watching = true;
  process.once("exit", () => {
    for (const child of running) child.kill("SIGTERM");
  });
}

async function after(milliseconds: number, signal: AbortSignal): Promise<undefined> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return undefined;
}
