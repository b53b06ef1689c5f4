// Does my page publish, and does it say so when it cannot?
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { chromium } from "playwright-core";
import { StreamManager } from "./stream_manager.mjs";

const PAGE = new URL("../page/", import.meta.url); // with the vendor's red5pro-sdk.min.js beside it

let manager, web, browser, context;

before(async () => {
  manager = await StreamManager.start();
  web = createServer(async (request, response) => {
    const name = request.url.startsWith("/index.html") ? "index.html" : "red5pro-sdk.min.js";
    response.setHeader("Content-Type", name.endsWith(".js") ? "text/javascript" : "text/html");
    response.end(await readFile(new URL(name, PAGE)));
  });
  await new Promise((listening) => web.listen(0, "127.0.0.1", listening));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      "--autoplay-policy=no-user-gesture-required",
      "--no-sandbox",
      "--allow-loopback-in-peer-connection", // for a machine that has no other network
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    ],
  });
});

after(async () => {
  await browser?.close();
  web?.closeAllConnections();
  web?.close();
  await manager?.stop();
});

afterEach(async () => {
  await context?.close();
  await manager.reset();
});

async function open(name) {
  context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://localhost:${web.address().port}/index.html?port=${manager.port}&name=${name}`);
  return page;
}

test("the page goes live and stops", async () => {
  const page = await open("cam-1");
  await page.getByText("live", { exact: true }).waitFor();
  const hook = await manager.hook({ state: "remote_track_started", id: "cam-1" });
  assert.equal(hook.connection.username, "ann");
  await page.getByRole("button", { name: "Stop" }).click();
  const end = await manager.hook({ state: "disconnected", id: "cam-1" });
  assert.equal(end.payload.reason, 0);
});

test("the page says that it was refused", async () => {
  await manager.fault({ fault: "publish-denied", match: { id: "cam-2" } });
  const page = await open("cam-2");
  await page.getByText(/^refused/).waitFor();
  await manager.hook({ state: "connect_error", id: "cam-2" });
});
