/// <reference lib="esnext.disposable" preserve="true" />
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Api, baseUrl } from "./api.js";
import { AuthBackEnd, noAuthBackEnd } from "./auth-back-end.js";
import { Clients, type Publisher, type PublisherOptions, type Subscriber, type SubscriberOptions } from "./clients.js";
import { Faults } from "./faults.js";
import type { Settings } from "./generated/settings.js";
import { Hooks } from "./hooks/hooks.js";
import { Recordings } from "./recordings.js";
import { serveArguments } from "./server/arguments.js";
import { obtainCommand } from "./server/install.js";
import { ServerProcess } from "./server/process.js";
import { Sessions } from "./sessions.js";
import { Streams } from "./streams.js";
import { writeTimeline } from "./timeline.js";

/** How to start a stream manager: the options of `smproxy serve` in camel case, and those of this package. */
export interface StartOptions extends Omit<Settings, "capture"> {
  /** Keep the packets of every session: `true`, or a directory that they are written to. */
  capture?: boolean | string;
  /** Path of `smproxy`; else `SMPROXY`, the `PATH` and virtual environments are looked at. */
  command?: string;
  /** Whether to install it with `uv` or `pipx` when it is not found (default `true`), or what: `git+https://…`, a path. */
  install?: boolean | string;
  /** Port; by default a free one. */
  port?: number;
  /** Whether it asks a back end of the test who may publish: `auth`. */
  authBackEnd?: boolean;
  /** Milliseconds that expectations wait for hooks; default 3,000. */
  expectTimeout?: number;
  /** Further environment variables. */
  env?: Record<string, string>;
  /** Milliseconds until it must be ready; default 30,000. */
  startTimeout?: number;
}

/** Where to find a running stream manager, and as whom. */
export interface ConnectOptions {
  /** Its `--admin-token`. */
  token?: string;
  /** Milliseconds that expectations wait for hooks; default 3,000. */
  expectTimeout?: number;
  /** Only hooks of this customer scope count in `hooks`: for one that is shared with others. */
  customerScope?: string;
}

type ScopeOptions = Omit<ConnectOptions, "token">;

interface Parts {
  server?: ServerProcess;
  backEnd?: AuthBackEnd;
  folder?: string;
}

/** A stream manager, started for a test or running elsewhere. */
export class StreamManager implements AsyncDisposable {
  /** The base URL: `http://localhost:5080`. */
  readonly url: string;
  readonly port: number;
  /** Expectations about lifecycle hooks. */
  readonly hooks: Hooks;
  /** What goes wrong on purpose. */
  readonly faults: Faults;
  readonly sessions: Sessions;
  readonly streams: Streams;
  readonly recordings: Recordings;
  private readonly clients: Clients;

  private constructor(
    /** Any call of the API that has no method of its own here. */
    readonly api: Api,
    private readonly parts: Parts,
    private readonly scope: ScopeOptions,
  ) {
    this.url = api.url;
    this.port = Number(new URL(api.url).port || (api.url.startsWith("https:") ? 443 : 80));
    this.hooks = new Hooks(api, scope);
    this.faults = new Faults(api);
    this.sessions = new Sessions(api);
    this.streams = new Streams(api);
    this.recordings = new Recordings(api);
    this.clients = new Clients(api, scope.customerScope);
  }

  /**
   * Start a stream manager on a free port, with everything in memory; it ends with this process at the latest.
   *
   * `StreamManager.start({ hookUri: "http://localhost:8000/hooks", reconnectWindow: 5 })`.
   */
  static async start(options: StartOptions = {}): Promise<StreamManager> {
    const { command: given, install = true, port = 0, capture = false, authBackEnd = false, ...others } = options;
    const { env = {}, startTimeout = 30_000, expectTimeout, ...settings } = others;
    const command = await obtainCommand(given, install);
    const folder = await mkdtemp(join(tmpdir(), "stream-manager-"));
    const backEnd = authBackEnd ? await AuthBackEnd.start() : undefined;
    const all: Settings & { port: number } = {
      dataDir: ":memory:",
      recordings: join(folder, "recordings"),
      ...(backEnd === undefined ? {} : { authUri: backEnd.url }),
      ...settings,
      ...(capture === false ? {} : { capture: capture === true ? join(folder, "packets") : capture }),
      port,
    };
    try {
      const server = await ServerProcess.start(command, serveArguments(all), { env, folder, timeout: startTimeout });
      const token = settings.adminToken === undefined ? undefined : String(settings.adminToken);
      const api = new Api(server.ready.url, token, () => server.explain());
      return new StreamManager(
        api,
        { server, folder, ...(backEnd === undefined ? {} : { backEnd }) },
        expectTimeout === undefined ? {} : { expectTimeout },
      );
    } catch (error) {
      await backEnd?.stop();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Use a stream manager that runs already: `StreamManager.connect("http://localhost:5080")`. */
  static async connect(url = "http://localhost:5080", options: ConnectOptions = {}): Promise<StreamManager> {
    const { token, ...scope } = options;
    const manager = new StreamManager(new Api(baseUrl(url), token), {}, scope);
    await manager.hooks.clear();
    return manager;
  }

  /** The back end that the stream manager asks who may publish, with `start({ authBackEnd: true })`. */
  get auth(): AuthBackEnd {
    return this.parts.backEnd ?? noAuthBackEnd();
  }

  /** What pages and SDKs connect to: `ws://localhost:5080/streammanager`. */
  get webSocketUrl(): string {
    return `${this.url.replace(/^http/, "ws")}/streammanager`;
  }

  /** The base URL with TLS of one that was started with it: `start({ tlsSelfSigned: true, tlsPort: 0 })`. */
  get tlsUrl(): string | null {
    return this.parts.server?.ready.tlsUrl ?? null;
  }

  /** The log of a stream manager that was started here: its last lines. */
  get log(): string {
    return this.parts.server?.output() ?? "";
  }

  /** A place in the log, from which on `logSince` returns it. @internal */
  get logEnd(): number {
    return this.parts.server?.written ?? 0;
  }

  /** @internal */
  logSince(place: number): string {
    return this.parts.server?.output(place) ?? "";
  }

  /**
   * Publish a stream with a headless publisher that the stream manager runs; return when it is live.
   *
   * `publisher("cam-1", { recording: true, meta: { room: "A" } })`. Its customer scope is `test` unless it is given one, its name
   * is made up. Throws with the reason when it is refused.
   */
  async publisher(name?: string, options?: PublisherOptions): Promise<Publisher> {
    return this.clients.publisher(name, options);
  }

  /** Watch a stream with a headless subscriber that the stream manager runs; return when it plays. */
  async subscriber(name: string, options?: SubscriberOptions): Promise<Subscriber> {
    return this.clients.subscriber(name, options);
  }

  /**
   * End every session, switch faults off and forget hooks and history: a clean slate for the next test. Receivers have `timeout`
   * milliseconds to take the last hooks, 5,000 unless given.
   */
  async reset({ timeout = 5_000 }: { timeout?: number } = {}): Promise<void> {
    await this.api.post("/api/v1/reset", { query: { timeout: timeout / 1000 } });
    this.hooks.forgotten();
    this.parts.backEnd?.reset();
  }

  /** Return signaling, hooks, deliveries and faults of the sessions since then (Unix milliseconds), as plain text. */
  async timeline(since = 0): Promise<string> {
    return writeTimeline(this.sessions, since, this.scope.customerScope);
  }

  /** End the clients and faults that were begun through this object. */
  async clear(): Promise<void> {
    await this.clients.endAll();
    await this.faults.removeAdded();
  }

  /** Stop what was started here; a stream manager that ran already goes on. */
  async stop(): Promise<void> {
    const { server, backEnd, folder } = this.parts;
    if (server === undefined) await this.clear();
    await server?.stop();
    await backEnd?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
