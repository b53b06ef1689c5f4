import { columnsOf } from "./hooks/report.js";
import type { Sessions, SessionView } from "./sessions.js";

/** Sessions and lines of one report. */
const MAX_SESSIONS = 10;
const MAX_LINES = 200;

/** Write the timelines of the sessions that lived since then (Unix milliseconds), the oldest first, as plain text. */
export async function writeTimeline(sessions: Sessions, since = 0, customerScope?: string): Promise<string> {
  const filter = customerScope === undefined ? {} : { customerScope };
  const found = await sessions.list({ ...filter, limit: MAX_SESSIONS * 10 });
  const ours = found.filter(({ endedAt }) => endedAt === null || endedAt >= since);
  const lines: string[] = [];
  for (const session of ours.slice(0, MAX_SESSIONS).reverse()) {
    const entries = await sessions.timeline(session.session);
    const rows = entries
      .slice(-MAX_LINES)
      .map(({ at, kind, from, to, title, detail }) => [time(at), kind, `${from} → ${to}`, title, detail]);
    lines.push("", heading(session), ...columnsOf(rows));
  }
  if (ours.length > MAX_SESSIONS) lines.push("", `… and ${ours.length - MAX_SESSIONS} sessions before`);
  return lines.slice(1).join("\n") || "(nothing has connected)";
}

function heading({ session, role, id, customerScope, state, error, reason }: SessionView): string {
  const outcome = error ?? reason;
  return `session ${session}: ${role} '${id}' of ${customerScope}: ${state}${outcome === null ? "" : ` (${outcome})`}`;
}

function time(milliseconds: number): string {
  const local = new Date(milliseconds);
  const [hours, minutes, seconds] = [local.getHours(), local.getMinutes(), local.getSeconds()].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${hours}:${minutes}:${seconds}.${String(local.getMilliseconds()).padStart(3, "0")}`;
}
