import type { Api, Schemas } from "../api.js";
import { ApiError } from "../errors.js";
import { Hook } from "./hook.js";

/** Hooks that are kept, as many as the pytest plugin keeps. */
const KEPT = 10_000;
const PAGE = 1_000;
/** Seconds that the stream manager is asked to wait at most, and milliseconds that its answer may take beyond that. */
const LONGEST = 30;
const GRACE = 10_000;

/** What the log has asked for from the stream manager; the tests put a list in its place. */
export interface Source {
  /** Return the events after the one with this id, the oldest first. */
  after(id: number): Promise<readonly Schemas["JournalledEvent"][]>;
  /** Wait until something comes after this event, at most so many milliseconds. */
  more(uuid: string | undefined, milliseconds: number): Promise<void>;
}

/** The hooks that came, in order. They are asked for when a test asks: nothing runs in between. */
export class HookLog {
  private kept: Hook[] = [];
  private lastId = 0;
  private lastUuid: string | undefined;
  /** How many have come. */
  count = 0;

  constructor(private readonly source: Source) {}

  /** Ask for what came since the last time. */
  async update(): Promise<void> {
    for (;;) {
      const page = await this.source.after(this.lastId);
      for (const { id, ...event } of page) {
        if (id <= this.lastId) continue; // another expectation asked at the same time
        this.lastId = id;
        this.lastUuid = event.uuid;
        this.kept.push(new Hook(++this.count, event as unknown as Schemas["HookEvent"]));
      }
      if (this.kept.length > KEPT) this.kept.splice(0, this.kept.length - KEPT);
      if (page.length < PAGE) return;
    }
  }

  /** Wait until something more may have come, at most so many milliseconds. */
  async more(milliseconds: number): Promise<void> {
    await this.source.more(this.lastUuid, milliseconds);
  }

  /** Return the hooks after the one with this number. */
  since(number: number): Hook[] {
    return this.kept.filter((hook) => hook.number > number);
  }

  /** Forget everything, and count from 1 again: after a reset, which forgets the events themselves. */
  clear(): void {
    this.kept = [];
    this.lastUuid = undefined;
    this.count = 0;
  }
}

/** The journal of a stream manager, of all or of one customer scope. */
export class Journal implements Source {
  constructor(
    private readonly api: Api,
    private readonly customerScope?: string,
  ) {}

  async after(id: number): Promise<readonly Schemas["JournalledEvent"][]> {
    return (await this.api.get("/api/v1/hooks", { query: { ...this.filter, after: id, limit: PAGE } })).hooks;
  }

  async more(uuid: string | undefined, milliseconds: number): Promise<void> {
    const timeout = Math.min(milliseconds / 1000, LONGEST);
    const query = { ...this.filter, timeout, ...(uuid === undefined ? {} : { since: uuid }) };
    try {
      await this.api.get("/api/v1/hooks/wait", { query, timeout: Math.ceil(timeout * 1000) + GRACE });
    } catch (error) {
      // 408: nothing came. 400: the event is forgotten, after a reset by somebody else.
      if (!(error instanceof ApiError) || (error.status !== 408 && error.status !== 400)) throw error;
      if (error.status === 400) await new Promise((resolve) => setTimeout(resolve, Math.min(50, milliseconds)));
    }
  }

  private get filter(): { customerScope?: string } {
    return this.customerScope === undefined ? {} : { customerScope: this.customerScope };
  }
}
