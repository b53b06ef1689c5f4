import { isDeepStrictEqual } from "node:util";
import { FIELDS, STATES } from "../generated/names.js";
import { closeMatch } from "./close-match.js";
import type { EventName, FieldName, Hook, StateName } from "./hook.js";
import { quoted, shown } from "./shown.js";

/** A matcher of Jest, Vitest or Playwright: `expect.any(Number)`. */
export interface Matcher {
  asymmetricMatch(value: unknown): boolean;
}
/** What a field is to be: a value, a pattern for a text, a matcher, or a function that says whether it is right. */
export type Wanted = string | number | boolean | null | object | RegExp | Matcher | ((value: any) => unknown);
/** Fields of a hook, and what they are to be. */
export type Fields = { [F in Exclude<FieldName, "event" | "state">]?: Wanted } & {
  event?: EventName | RegExp | Matcher | ((value: string) => unknown);
  state?: StateName | RegExp | Matcher | ((value: string) => unknown);
};
/** What happened, in one word: an event (`session`) or a state (`connected`). */
export type HookName = EventName | StateName;
/** One step of an order. */
export type Step = HookName | Fields;

const EVENTS: readonly string[] = Object.keys(STATES);
const STATE_NAMES: readonly string[] = Object.values(STATES).flat();
/** A hook of another kind is further away than one of somebody else. */
const WEIGHT: Readonly<Record<string, number>> = { event: 2, state: 2 };

/** Fields of a hook, and what they are to be. */
export class Expectation {
  private constructor(readonly fields: ReadonlyMap<FieldName, unknown>) {}

  /** Read what a test gave. Throws `TypeError` for a name or field that no hook can have: the test could never pass. */
  static of(what: Step | undefined, fields: Fields = {}): Expectation {
    const named = new Map<string, unknown>(typeof what === "string" ? [[kindOf(what), what]] : Object.entries(what ?? {}));
    const merged = new Map(named);
    for (const [name, wanted] of Object.entries(fields)) {
      if (named.has(name) && named.get(name) !== wanted) {
        throw new TypeError(`${name} is given twice: ${repr(named.get(name))} and ${repr(wanted)}`);
      }
      merged.set(name, wanted);
    }
    for (const [name, wanted] of merged) {
      if (!(FIELDS as readonly string[]).includes(name)) {
        throw new TypeError(`no hook has a field ${quoted(name)}${hint(name, FIELDS)}`);
      }
      if (wanted === undefined) throw new TypeError(`${name} is undefined: give it a value, or leave it out`);
    }
    for (const [name, known] of [
      ["event", EVENTS],
      ["state", STATE_NAMES],
    ] as const) {
      const wanted = merged.get(name);
      if (typeof wanted === "string" && !known.includes(wanted)) {
        throw new TypeError(`no hook has ${name}=${quoted(wanted)}${hint(wanted, known)}`);
      }
    }
    return new Expectation(merged as Map<FieldName, unknown>);
  }

  /** Return the fields in which the hook is not what is expected. */
  differing(hook: Hook): FieldName[] {
    return [...this.fields].filter(([name, wanted]) => !likes(wanted, hook.get(name))).map(([name]) => name);
  }

  /** Return whether this is the hook. */
  matches(hook: Hook): boolean {
    return this.differing(hook).length === 0;
  }

  /** Return how far the hook is from it; 0 is a match. */
  distance(hook: Hook): number {
    return this.differing(hook).reduce((sum, name) => sum + (WEIGHT[name] ?? 1), 0);
  }

  toString(): string {
    const rest = [...this.fields].filter(([name]) => name !== "event").map(([name, value]) => `${name}=${shown(value)}`);
    const event = this.fields.get("event");
    return [...(event === undefined ? [] : [shown(event)]), ...rest].join(" ") || "hook";
  }
}

/** Write a field of a hook; one that is not there is `(absent)`. */
export function fieldShown(value: unknown): string {
  return value === undefined ? "(absent)" : shown(value);
}

function likes(wanted: unknown, value: unknown): boolean {
  if (value === undefined) return false;
  if (typeof wanted === "function") return Boolean((wanted as (value: unknown) => unknown)(value));
  if (wanted instanceof RegExp) return typeof value === "string" && value.search(wanted) >= 0;
  if (typeof wanted === "object" && wanted !== null && "asymmetricMatch" in wanted) {
    return (wanted as Matcher).asymmetricMatch(value);
  }
  return isDeepStrictEqual(wanted, value);
}

function kindOf(name: string): FieldName {
  if (EVENTS.includes(name)) return "event";
  if (STATE_NAMES.includes(name)) return "state";
  throw new TypeError(`no hook is called ${quoted(name)}${hint(name, [...EVENTS, ...STATE_NAMES])}`);
}

function repr(value: unknown): string {
  return typeof value === "string" ? quoted(value) : shown(value);
}

function hint(name: string, known: readonly string[]): string {
  const near = closeMatch(name, known);
  return near === undefined ? `: there are ${[...new Set(known)].sort().join(", ")}` : `: did you mean ${quoted(near)}?`;
}
