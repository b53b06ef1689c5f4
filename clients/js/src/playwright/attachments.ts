import type { TestInfo } from "@playwright/test";
import type { StreamManager } from "../stream-manager.js";

/** Sessions of one test whose packets are attached. */
const MAX_CAPTURES = 5;

/** Attach what happened to a test's sessions: their timeline, the hooks, the packets where they were kept, and the log. */
export async function attachWhatHappened(
  manager: StreamManager,
  testInfo: TestInfo,
  { at: since, logEnd }: { at: number; logEnd: number },
  only: { customerScope?: string },
): Promise<void> {
  const attach = async (name: string, content: Promise<string | Uint8Array>, contentType: string): Promise<void> => {
    const body = await content.catch(() => undefined); // a test may have stopped the stream manager
    if (body !== undefined && body.length > 0) await testInfo.attach(name, { body: Buffer.from(body), contentType });
  };
  await attach("stream manager: timeline", manager.timeline(since), "text/plain");
  const hooks = manager.hooks.list().then((list) =>
    JSON.stringify(
      list.map(({ event }) => event),
      null,
      2,
    ),
  );
  await attach("stream manager: hooks", hooks, "application/json");
  await attach("stream manager: log", Promise.resolve(manager.logSince(logEnd)), "text/plain");
  const sessions = await manager.sessions.list({ ...only, limit: MAX_CAPTURES }).catch(() => []);
  for (const { session, role, id, endedAt } of sessions.reverse()) {
    if (endedAt !== null && endedAt < since) continue;
    await attach(`${role} ${id} ${session}.pcapng`, manager.sessions.capture(session), "application/x-pcapng");
  }
}
