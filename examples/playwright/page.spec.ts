// Does my page publish, and does it say so when it cannot?
import { expect, test } from "stream-manager-proxy/playwright";

test("the page goes live and stops", async ({ page, streamManager, hooks, subscriber }) => {
  await page.goto(`/index.html?port=${streamManager.port}&name=cam-1`);
  await hooks.expect("remote_track_started", { id: "cam-1", track: "video_main" });
  await expect(page.locator("#status")).toHaveText("live");
  const watching = await subscriber("cam-1");
  await watching.waitForFrames(3);
  await page.getByRole("button", { name: "Stop" }).click();
  await hooks.expectOrder(["connected", "peer_leaved", { state: "disconnected", reason: 0 }], { id: "cam-1" });
});

test("the page says that the name is taken", async ({ page, streamManager, hooks, publisher }) => {
  await publisher("cam-1");
  await page.goto(`/index.html?port=${streamManager.port}&name=cam-1`);
  await expect(page.locator("#status")).toContainText("refused");
  await hooks.expect("connect_error", { id: "cam-1", error: 4 });
});

test("the page says that it may not publish", async ({ page, streamManager, hooks, faults }) => {
  const fault = await faults.add("publish-denied", { id: "cam-1" });
  await page.goto(`/index.html?port=${streamManager.port}&name=cam-1`);
  await expect(page.locator("#status")).toContainText("refused");
  await hooks.expect("connect_error", { id: "cam-1", error: 3 });
  expect(await fault.injected()).toBe(1);
});
