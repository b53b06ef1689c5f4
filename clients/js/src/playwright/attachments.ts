import type { TestInfo } from "@playwright/test";
import type { StreamManager } from "../stream-manager.js";


/** Attach what happened to a test's sessions: their timeline, the hooks, the packets where there are any, and the log. */
export async function attachWhatHappened(manager: StreamManager, testInfo: TestInfo, since: number): Promise<void> {
  const text = async (name: string, body: Promise<string>, contentType = "text/plain"): Promise<void> => {
    await testInfo.attach(name, { body: await body.catch((error: unknown) => String(error)), contentType });
  };
  await text("stream manager: timeline", manager.timeline(since));
  const hooks = manager.hooks.list().then((list) => JSON.stringify(list.map(({ event }) => event), null, 2));
  await text("stream manager: hooks", hooks, "application/json");
  if (manager.log !== "") await text("stream manager: log", Promise.resolve(manager.log));
}
