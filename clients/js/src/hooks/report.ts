import { MAX_ROWS } from "../generated/names.js";
import { type Expectation, fieldShown } from "./expectation.js";
import type { FieldName, Hook } from "./hook.js";
import { cut, shown } from "./shown.js";

const COLUMNS: readonly FieldName[] = ["session", "seq", "event", "state", "id"];

/** Write the heading, a table of what came, and how the nearest differs. `now`: Unix milliseconds. */
export function report(heading: string, expected: Expectation, came: readonly Hook[], now: number): string {
  if (came.length === 0) {
    return `${heading}: no hook came at all\n(nothing has connected, or its hooks are of another instance)`;
  }
  const ranked = [...came].sort((a, b) => expected.distance(a) - expected.distance(b) || b.number - a.number);
  const lines = [`${heading}: ${came.length} came, nearest first, ! marks what differs:`, ""];
  lines.push(...table(ranked.slice(0, MAX_ROWS), expected, now));
  if (ranked.length > MAX_ROWS) lines.push(`     ... and ${ranked.length - MAX_ROWS} more`);
  const [nearest] = ranked;
  const differing = nearest === undefined ? [] : expected.differing(nearest);
  if (nearest !== undefined && differing.length > 0) {
    lines.push("", `the nearest, ${nearest.number}, differs in:`);
    for (const name of differing) {
      lines.push(`  - ${name}: ${shown(expected.fields.get(name))} (expected)`);
      lines.push(`  + ${name}: ${fieldShown(nearest.get(name))}`);
    }
  }
  return lines.join("\n");
}

/** Lay hooks out in columns; beside the usual ones, those that are expected. */
function table(hooks: readonly Hook[], expected: Expectation, now: number): string[] {
  const columns = [...new Set([...COLUMNS, ...expected.fields.keys()])];
  const rows = [["n", ...columns, "came"]];
  for (const hook of hooks) {
    const wrong = new Set(expected.differing(hook));
    const cells = columns.map((name) => (wrong.has(name) ? "!" : "") + cell(hook.get(name)));
    rows.push([String(hook.number), ...cells, `${(Math.max(0, now - hook.event.ts) / 1000).toFixed(3)} s ago`]);
  }
  return columnsOf(rows);
}

/** Pad the cells of a table so that columns are straight. */
export function columnsOf(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
}

function cell(value: unknown): string {
  return value === undefined ? "-" : cut(shown(value), 40);
}
