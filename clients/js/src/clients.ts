/// <reference lib="esnext.disposable" preserve="true" />
import { randomUUID } from "node:crypto";
import type { Api, Schemas } from "./api.js";
import { StreamManagerError } from "./errors.js";

/** How to publish: connection parameters and what is sent; see docs/control-api.md. `media`: a file of the server's machine. */
export type PublisherOptions = Partial<Omit<Schemas["PublisherAsked"], "name" | "wait" | "timeout">> & { timeout?: number };
/** How to watch. */
export type SubscriberOptions = Partial<Omit<Schemas["SubscriberAsked"], "name" | "wait" | "timeout">> & { timeout?: number };
/** How a publisher is doing. */
export type PublisherView = Schemas["HeadlessPublisherView"];
/** How a subscriber is doing: frames, latency, freezes. */
export type SubscriberView = Schemas["HeadlessSubscriberView"];

/** Milliseconds for a client to be live, and between two looks at it; and its customer scope unless it is given one. */
const START = 10_000;
const LOOK = 50;
const SCOPE = "test";

/** A headless client that the stream manager runs; it is live when there is one. */
abstract class HeadlessClient<V extends PublisherView | SubscriberView> implements AsyncDisposable {
  protected abstract readonly role: "publishers" | "subscribers";

  /** @internal */
  constructor(
    protected readonly api: Api,
    /** How it was when it was last looked at. */
    public view: V,
  ) {}

  /** Name of the stream. */
  get name(): string {
    return this.view.name;
  }

  /** Number of its session. */
  get session(): number {
    return this.view.session ?? 0;
  }

  /** Look at how it is doing. */
  async look(): Promise<V> {
    this.view = (await this.api.get(`/api/v1/${this.role}/{id}`, { path: { id: this.view.id } })) as V;
    return this.view;
  }

  /** End the stream and leave, as a page does that stops. */
  async stop(): Promise<void> {
    await this.end("leave");
  }

  /** Close the connection without ending the stream first, as a tab that is closed. */
  async close(): Promise<void> {
    await this.end("close");
  }

  /** Be gone without a goodbye, as a lost network. */
  async vanish(): Promise<void> {
    await this.end("vanish");
  }

  /** Mute tracks (`true`), or go on with them (`false`). */
  async mute(tracks: { audio?: boolean; video?: boolean }): Promise<void> {
    this.view = (await this.api.post(`/api/v1/${this.role}/{id}/mute`, {
      path: { id: this.view.id },
      body: { audio: null, video: null, ...tracks },
    })) as V;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private async end(how: "leave" | "close" | "vanish"): Promise<void> {
    await this.api.delete(`/api/v1/${this.role}/{id}`, { path: { id: this.view.id }, query: { how } });
  }
}

/** A headless publisher. */
export class Publisher extends HeadlessClient<PublisherView> {
  protected readonly role = "publishers";
}

/** A headless subscriber. */
export class Subscriber extends HeadlessClient<SubscriberView> {
  protected readonly role = "subscribers";

  /** Wait until so many frames were decoded. Throws when they did not come within `timeout` milliseconds, 10,000 unless given. */
  async waitForFrames(count: number, options: { timeout?: number } = {}): Promise<SubscriberView> {
    return this.watch(
      ({ decoded }) => decoded >= count,
      ({ decoded }) => `${decoded} of ${count} frames came`,
      options,
    );
  }

  /**
   * Wait until it is doing so: `waitFor(({ latencyMs }) => latencyMs !== null && latencyMs.p95 < 500)`, of a publisher with the
   * `pattern` `clock`. Throws when it did not come to that within `timeout` milliseconds, 10,000 unless given.
   */
  async waitFor(check: (view: SubscriberView) => boolean, options: { timeout?: number } = {}): Promise<SubscriberView> {
    return this.watch(check, (view) => `it did not come to that, but to ${JSON.stringify(view)}`, options);
  }

  private async watch(
    check: (view: SubscriberView) => boolean,
    so: (view: SubscriberView) => string,
    { timeout = 10_000 }: { timeout?: number },
  ): Promise<SubscriberView> {
    const deadline = performance.now() + timeout;
    for (;;) {
      const view = await this.look();
      if (check(view)) return view;
      const what = `subscriber of ${this.name}: ${so(view)}`;
      if (view.state !== "live") throw new StreamManagerError(`${what}, then it was ${how(view)}`);
      if (performance.now() >= deadline) throw new StreamManagerError(`${what} within ${timeout / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }
}

/** The headless clients of a stream manager that one test has started. */
export class Clients {
  private readonly started: HeadlessClient<PublisherView | SubscriberView>[] = [];

  /** @internal */
  constructor(
    private readonly api: Api,
    private readonly customerScope = SCOPE,
  ) {}

  /** Publish; return when the stream is live. Throws with the reason when it is refused. */
  async publisher(name = `stream-${randomUUID().slice(0, 8)}`, options: PublisherOptions = {}): Promise<Publisher> {
    const view = await this.api.post("/api/v1/publishers", this.asked(name, options));
    live("publisher", view);
    return this.keep(new Publisher(this.api, view));
  }

  /** Watch a stream; return when it plays. Throws with the reason when it is refused. */
  async subscriber(name: string, options: SubscriberOptions = {}): Promise<Subscriber> {
    const view = await this.api.post("/api/v1/subscribers", this.asked(name, options));
    live("subscriber", view);
    return this.keep(new Subscriber(this.api, view));
  }

  /** End those that are left. @internal */
  async endAll(): Promise<void> {
    const left = this.started.splice(0).reverse();
    await Promise.allSettled(left.map((client) => client.close()));
  }

  private asked<O extends { timeout?: number }>(name: string, { timeout = START, ...options }: O) {
    const body = { customerScope: this.customerScope, ...options, name, timeout: timeout / 1000 };
    return { body: body as never, timeout: timeout + START };
  }

  private keep<C extends HeadlessClient<PublisherView | SubscriberView>>(client: C): C {
    this.started.push(client);
    return client;
  }
}

function live(role: string, view: PublisherView): void {
  if (view.state !== "live") throw new StreamManagerError(`${role} ${view.name} is ${how(view)}`);
}

function how({ state, error }: PublisherView): string {
  return error === null ? state : `${state}: ${error}`;
}
