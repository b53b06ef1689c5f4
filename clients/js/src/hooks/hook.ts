import type { Schemas } from "../api.js";
import type { FIELDS, STATES } from "../generated/names.js";

/** An event, as receivers are sent it. */
export type HookEvent = Schemas["HookEvent"];
/** A kind of event: `session`, `peer` … */
export type EventName = keyof typeof STATES;
/** What happened: `connected`, `peer_joined`, `remote_track_started` … */
export type StateName = (typeof STATES)[EventName][number];
/** A field of a hook, by its name alone. */
export type FieldName = (typeof FIELDS)[number];

/** One hook. `number` counts 1, 2, 3 … in the order in which they happened. */
export class Hook {
  constructor(
    readonly number: number,
    readonly event: HookEvent,
  ) {}

  /** Return a field by its name alone, wherever in the message it is; `undefined` when it is not there. */
  get(field: FieldName): any {
    const payload: Record<string, unknown> = { ...this.event.payload };
    if (field === "state") return payload["state"] ?? payload["event"] ?? undefined;
    const parts: Record<string, unknown>[] = [{ ...this.event }, payload, { ...this.event.connection }];
    return parts.find((part) => Object.hasOwn(part, field))?.[field];
  }

  /** What happened, in one word: `connected`, `peer_joined` … */
  get state(): StateName {
    return this.get("state") as StateName;
  }

  /** The `id` of the connection: a publisher's is the name of its stream. */
  get id(): string | null {
    return this.event.connection.id;
  }

  /** Number of the session. */
  get session(): number {
    return this.event.payload.session;
  }

  /** Identifies the event; it is the same when a receiver is sent it again. */
  get uuid(): string {
    return this.event.uuid;
  }
}
