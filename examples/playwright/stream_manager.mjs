// Starts a stream manager for a test, and asks it over HTTP. `npm test` needs `smproxy` on the PATH (or in SMPROXY).
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class StreamManager {
  static async start(...options) {
    const command = process.env.SMPROXY ?? "smproxy";
    const arguments_ = ["serve", "--port", "0", "--data-dir", ":memory:", "--exit-with-parent", ...options];
    const child = spawn(command, arguments_, { stdio: ["ignore", "pipe", "inherit"] });
    const exited = new Promise((resolve, reject) => {
      child.on("exit", resolve);
      child.on("error", reject);
    });
    const ready = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        const address = line.match(/ws:\/\/localhost:(\d+)\/streammanager/);
        if (address) return Number(address[1]);
      }
      throw new Error(`${command} ended before it was ready`);
    })();
    const port = await Promise.race([ready, exited.then(() => ready)]);
    return new StreamManager(child, exited, port);
  }

  constructor(child, exited, port) {
    this.port = port;
    this.api = `http://localhost:${port}/api/v1`;
    this.child = child;
    this.exited = exited;
  }

  // Resolves with the hook; rejects with what came instead.
  async hook(fields, timeout = 10) {
    const response = await fetch(`${this.api}/hooks/wait?${new URLSearchParams({ ...fields, timeout })}`);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.errorMessage);
    return answer;
  }

  async fault(fields) {
    const response = await fetch(`${this.api}/faults`, { method: "POST", body: JSON.stringify(fields) });
    if (!response.ok) throw new Error((await response.json()).errorMessage);
  }

  // A clean slate for the next test.
  async reset() {
    await fetch(`${this.api}/reset`, { method: "POST" });
  }

  async stop() {
    this.child.kill();
    await this.exited;
  }
}
