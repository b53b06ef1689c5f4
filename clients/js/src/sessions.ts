import type { Api, Schemas } from "./api.js";

/** A session, as the API shows it. */
export type SessionView = Schemas["SessionView"];
/** One line of what was said in a session; see docs/control-api.md. */
export interface TranscriptEntry {
  at: number;
  session: number;
  from: "client" | "origin" | "proxy";
  via: string;
  message?: unknown;
  text?: string;
  [more: string]: unknown;
}
/** Which sessions to list. */
export interface SessionFilter {
  state?: SessionView["state"] | readonly SessionView["state"][];
  role?: "publisher" | "subscriber";
  id?: string;
  customerScope?: string;
  app?: string;
  limit?: number;
}

/** Milliseconds for a capture to come, beyond the time for which it goes on. */
const CAPTURE_TIMEOUT = 30_000;

/** The sessions of a stream manager, live and ended. */
export class Sessions {
  /** @internal */
  constructor(private readonly api: Api) {}

  /** Return the sessions that match, the newest first. */
  async list({ state, ...filter }: SessionFilter = {}): Promise<SessionView[]> {
    const query = { ...filter, ...(state === undefined ? {} : { state: [state].flat().join(",") }) };
    return (await this.api.get("/api/v1/sessions", { query })).sessions;
  }

  /** Return one session. */
  async get(session: number): Promise<SessionView> {
    return this.api.get("/api/v1/sessions/{session}", { path: { session } });
  }

  /** End a session: its client is notified, its hooks have reason 3. */
  async kick(session: number): Promise<void> {
    await this.api.delete("/api/v1/sessions/{session}", { path: { session } });
  }

  /** Return what was said, the oldest first. */
  async transcript(session: number): Promise<TranscriptEntry[]> {
    const lines = (await this.frames(session)).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as TranscriptEntry);
  }

  /** Return the export of a session: what `smproxy replay` plays. */
  async export(session: number): Promise<string> {
    return this.frames(session, { header: true });
  }

  /** Return signaling, hooks, deliveries and faults in the order of time. */
  async timeline(session: number): Promise<Schemas["TimelineEntry"][]> {
    return (await this.api.get("/api/v1/sessions/{session}/timeline", { path: { session } })).entries;
  }

  /**
   * Return the packets of a session, decrypted, for Wireshark: what was kept so far, with `start({ capture: true })` from its first
   * one on. With `seconds` it goes on for so long, and begins now if nothing was kept.
   */
  async capture(session: number, { seconds }: { seconds?: number } = {}): Promise<Uint8Array> {
    const query = seconds === undefined ? {} : { seconds };
    const timeout = CAPTURE_TIMEOUT + (seconds ?? 0) * 1000;
    const parts = { path: { session }, query, timeout };
    return new Uint8Array(
      await (await this.api.request("GET", "/api/v1/sessions/{session}/capture.pcapng", parts)).arrayBuffer(),
    );
  }

  private async frames(session: number, query: { header?: boolean } = {}): Promise<string> {
    return (await this.api.request("GET", "/api/v1/sessions/{session}/frames", { path: { session }, query })).text();
  }
}
