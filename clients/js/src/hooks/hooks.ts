import type { Api, Schemas } from "../api.js";
import { HookExpectationError } from "../errors.js";
import { QUIET } from "../generated/names.js";
import { Expectation, type Fields, type HookName, type Step } from "./expectation.js";
import type { Hook, HookEvent } from "./hook.js";
import { HookLog, Journal } from "./log.js";
import { report } from "./report.js";

/** Milliseconds that a hook is waited for: less than Jest and Vitest give a test, so that the message is seen. */
const TIMEOUT = 3_000;

/** How long a hook is waited for, in milliseconds, and after which hook it is to come. */
export interface ExpectOptions {
  timeout?: number;
  after?: Hook;
}

/**
 * Expectations about hooks. Each looks at what came already, then at what comes.
 *
 * Fields have the names of the message's JSON, without a path: `id`, `customerScope`, `session`, `seq`, `track`, `reason` … A value
 * is compared, or it is a pattern, a matcher (`expect.any(Number)`) or a function that says whether it is right. A name or field
 * that no hook can have is a `TypeError`.
 */
export class Expectations {
  /** Number of the last hook that is of no interest. */
  protected start = 0;

  /** @internal */
  constructor(
    protected readonly log: HookLog,
    private readonly now: () => number = Date.now,
    private readonly timeout: number = TIMEOUT,
  ) {}

  /**
   * Return the first hook that is so, of those that came and those that come.
   *
   * `expect("connected", { id: "cam-1" })`, `expect({ state: "remote_track_started", track: "video_main" })`.
   * Throws `HookExpectationError` when none came within `timeout` milliseconds, 3,000 unless given.
   */
  expect(what: HookName | Fields, fields: Fields = {}, options: ExpectOptions = {}): Promise<Hook> {
    return explained(this.expect, async () => {
      const expected = Expectation.of(what, fields);
      const { timeout = this.timeout, after } = options;
      const start = after?.number ?? this.start;
      const found = await this.until((hooks) => hooks.find((hook) => expected.matches(hook)), start, timeout);
      if (found !== undefined) return found;
      const since = after === undefined ? "" : ` after hook ${after.number}`;
      return this.fail(`expected ${expected}${since} within ${seconds(timeout)} s`, expected, this.log.since(start));
    });
  }

  /**
   * Return hooks that came in this order, others between them allowed.
   *
   * `expectOrder(["connecting", "connected", "disconnected"], { id: "cam-1" })`. A step is a name, or fields such as
   * `{ state: "remote_track_started", track: "video_main" }`; `fields` hold for every step.
   */
  expectOrder(steps: readonly Step[], fields: Fields = {}, options: { timeout?: number } = {}): Promise<Hook[]> {
    return explained(this.expectOrder, async () => {
      if (steps.length === 0) throw new TypeError("expectOrder takes the steps: expectOrder(['connecting', 'connected'])");
      const wanted = steps.map((step) => Expectation.of(step, fields));
      const { timeout = this.timeout } = options;
      const find = (hooks: readonly Hook[]): Hook[] | undefined => {
        const found = inOrder(wanted, hooks);
        return found.length === wanted.length ? found : undefined;
      };
      const found = await this.until(find, this.start, timeout);
      if (found !== undefined) return found;
      throw new HookExpectationError(this.orderReport(wanted, timeout));
    });
  }

  /** Return if no such hook has come, and none comes in the next `during` milliseconds, 250 unless given. */
  none(what: HookName | Fields, fields: Fields = {}, options: { during?: number } = {}): Promise<void> {
    return explained(this.none, async () => {
      const expected = Expectation.of(what, fields);
      const { during = QUIET } = options;
      const found = await this.until((hooks) => hooks.find((hook) => expected.matches(hook)), this.start, during);
      if (found === undefined) return;
      this.fail(`expected no ${expected}, but hook ${found.number} is one`, expected, this.log.since(this.start));
    });
  }

  private async until<T>(
    find: (hooks: readonly Hook[]) => T | undefined,
    start: number,
    timeout: number,
  ): Promise<T | undefined> {
    const deadline = performance.now() + timeout;
    for (;;) {
      await this.log.update();
      const found = find(this.log.since(start));
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (left <= 0) return undefined;
      await this.log.more(left);
    }
  }

  private fail(heading: string, expected: Expectation, came: readonly Hook[]): never {
    throw new HookExpectationError(report(heading, expected, came, this.now()));
  }

  private orderReport(wanted: readonly Expectation[], timeout: number): string {
    const came = this.log.since(this.start);
    const found = inOrder(wanted, came);
    const missing = wanted[found.length] as Expectation;
    const earlier = came.filter((hook) => missing.matches(hook)).at(-1);
    const last = found.at(-1);
    const lines = [`expected ${wanted.length} hooks in order within ${seconds(timeout)} s:`];
    lines.push(...found.map((hook, index) => `  ${wanted[index]}: hook ${hook.number}`));
    lines.push(`  ${missing}: MISSING${earlier === undefined ? "" : `, came too early, as hook ${earlier.number}`}`);
    lines.push(...wanted.slice(found.length + 1).map((step) => `  ${step}: not looked for`));
    const after = last === undefined ? "" : ` after hook ${last.number}`;
    const rest = came.filter((hook) => last === undefined || hook.number > last.number);
    if (rest.length === 0 && came.length > 0) return [...lines, `nothing came${after}`].join("\n");
    return [...lines, report(`missing ${missing}${after}`, missing, rest, this.now())].join("\n");
  }
}

/** The hooks of a stream manager, and the receivers that they are sent to. */
export class Hooks extends Expectations {
  readonly sinks: Sinks;

  /** @internal */
  constructor(
    private readonly api: Api,
    { customerScope, expectTimeout }: { customerScope?: string; expectTimeout?: number } = {},
  ) {
    super(new HookLog(new Journal(api, customerScope)), Date.now, expectTimeout);
    this.sinks = new Sinks(api);
  }

  /** Return what came so far, in order; with `fields`, those that are so. */
  async list(fields: Fields = {}): Promise<Hook[]> {
    const expected = Expectation.of(undefined, fields);
    await this.log.update();
    return this.log.since(this.start).filter((hook) => expected.matches(hook));
  }

  /** Let what came so far count no more, for what is expected from now on. */
  async clear(): Promise<void> {
    await this.log.update();
    this.start = this.log.count;
  }

  /** Send an invented event to the receivers; see docs/hook-tools.md. */
  async trigger(event: HookName, params: Record<string, unknown> = {}): Promise<HookEvent> {
    return this.api.post("/api/v1/hooks/trigger", { body: { event, params: params as Record<string, never> } });
  }

  /** Return an event with every attempt to deliver it. */
  async deliveries(hook: Hook): Promise<Schemas["DetailedEvent"]["deliveries"]> {
    return (await this.api.get("/api/v1/hooks/{uuid}", { path: { uuid: hook.uuid } })).deliveries;
  }

  /** Deliver an event again; return to how many receivers. */
  async resend(hook: Hook): Promise<number> {
    return (await this.api.post("/api/v1/hooks/{uuid}/resend", { path: { uuid: hook.uuid } })).resent;
  }

  /** The events themselves were forgotten by a reset. @internal */
  forgotten(): void {
    this.log.clear();
    this.start = 0;
  }
}

/** A receiver that is to be added. */
export type SinkOptions = Partial<Schemas["SinkAsked"]> & { uri: string };

/** The receivers of hooks. */
export class Sinks {
  /** @internal */
  constructor(private readonly api: Api) {}

  /** Return how each is doing. */
  async list(): Promise<Schemas["SinkStatus"][]> {
    return (await this.api.get("/api/v1/hooks/sinks")).sinks;
  }

  /** Let hooks go to one more receiver from now on, until the next reset: `add({ uri: "http://localhost:8000/hooks" })`. */
  async add(sink: SinkOptions): Promise<Schemas["SinkStatus"]> {
    return this.api.post("/api/v1/hooks/sinks", { body: sink as Schemas["SinkAsked"] });
  }

  /** Remove a receiver by its name. What it has not got by then it never gets. */
  async remove(sink: string): Promise<void> {
    await this.api.delete("/api/v1/hooks/sinks/{sink}", { path: { sink } });
  }
}

function inOrder(wanted: readonly Expectation[], hooks: readonly Hook[]): Hook[] {
  const found: Hook[] = [];
  for (const hook of hooks) {
    if (wanted[found.length]?.matches(hook)) found.push(hook);
  }
  return found;
}

function seconds(milliseconds: number): string {
  return String(Number((milliseconds / 1000).toPrecision(6)));
}

/** Let an error of an expectation have the stack of the line that called it, not of what runs in here. */
async function explained<T>(call: (...values: never) => unknown, work: () => Promise<T>): Promise<T> {
  const caller: { stack?: string } = {};
  Error.captureStackTrace(caller, call);
  try {
    return await work();
  } catch (error) {
    if (error instanceof HookExpectationError || error instanceof TypeError) {
      error.stack = `${error.name}: ${error.message}\n${(caller.stack ?? "").split("\n").slice(1).join("\n")}`;
    }
    throw error;
  }
}
