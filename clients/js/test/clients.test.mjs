// Publishers and subscribers that the stream manager runs, and receivers that are added while it runs.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { StreamManager } from "../dist/esm/index.js";

const LONG = 30_000;
let manager;

before(async () => {
  manager = await StreamManager.start({ expectTimeout: LONG, mediaGap: 0.5, mediaTimeout: 1 });
});
after(() => manager.stop());
beforeEach(() => manager.reset());

/** Wait until the receiver has taken a hook, and return its name. */
async function delivered(hook) {
  for (;;) {
    const [{ sink, state }] = await manager.hooks.deliveries(hook);
    if (state === "delivered") return sink;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a publisher is live, is watched, and its recording can be read", async () => {
  const cam = await manager.publisher("cam-1", { recording: true, meta: { room: "A" }, customerScope: "acme", timeout: LONG });
  const hook = await manager.hooks.expect("remote_track_started", { id: "cam-1", track: "video_main", customerScope: "acme" });
  assert.deepEqual(hook.get("meta"), { room: "A" });
  assert.deepEqual([cam.name, cam.session], ["cam-1", hook.session]);
  const watching = await manager.subscriber("cam-1", { timeout: LONG });
  assert.ok((await watching.waitForFrames(5, { timeout: LONG })).frames >= 5);
  assert.deepEqual(
    (await manager.streams.list()).map(({ name }) => name),
    ["cam-1"],
  );
  await watching.stop();
  await cam.stop();
  await manager.hooks.expectOrder(["connected", "peer_leaved", "disconnected"], { id: "cam-1" });
  const saved = await manager.hooks.expect("recording_saved", { id: "cam-1" });
  assert.equal((await manager.recordings.read(saved.get("file"))).length, saved.get("size"));
  await manager.recordings.delete(saved.get("file"));
  await assert.rejects(cam.look(), /404/);
});

test("over WHIP and WHEP it is the same, and a client may be lost instead of leaving", async () => {
  const cam = await manager.publisher("cam-1", { transport: "whip", timeout: LONG });
  const watching = await manager.subscriber("cam-1", { transport: "whep", timeout: LONG });
  await watching.waitForFrames(3, { timeout: LONG });
  await cam.vanish();
  await manager.hooks.expect("disconnected", { id: "cam-1", reason: 1 });
});

test("how late the picture is can be waited for, and what it did not come to is said", async () => {
  await manager.publisher("cam-1", { pattern: "clock", timeout: LONG });
  const watching = await manager.subscriber("cam-1", { timeout: LONG });
  const { latencyMs } = await watching.waitFor((view) => view.latencyMs !== null && view.latencyMs.p50 > 0, { timeout: LONG });
  assert.ok(latencyMs.most >= latencyMs.p95);
  await assert.rejects(
    watching.waitFor(() => false, { timeout: 0 }),
    /cam-1: it did not come to that, but to \{.*"latencyMs":\{.* within 0 s/,
  );
  const ends = watching.waitForFrames(1_000_000, { timeout: LONG });
  await manager.sessions.kick(watching.session);
  await assert.rejects(ends, /of 1000000 frames came, then it was ended/);
});

test("who is refused is told why", async () => {
  await manager.faults.add("publish-denied", { id: "cam-1", message: "Not today." });
  await assert.rejects(manager.publisher("cam-1", { timeout: LONG }), /publisher cam-1 is failed: .*Not today\./);
  await manager.hooks.expect("connect_error", { id: "cam-1" });
  await assert.rejects(manager.subscriber("nobody", { timeout: LONG }), /subscriber nobody is failed: .*nobody/);
  await assert.rejects(manager.publisher("cam-2", { colour: "blue" }), /400: .*colour/);
});

test("clients that were begun through one object are ended with it, and those of others are not", async () => {
  const mine = await StreamManager.connect(manager.url);
  const theirs = await manager.publisher(undefined, { timeout: LONG });
  const cam = await mine.publisher(undefined, { timeout: LONG, params: { id: "mine" } });
  await mine.stop();
  await manager.hooks.expect("disconnected", { session: cam.session });
  assert.equal((await theirs.look()).state, "live");
});

test("a receiver is added, gets hooks, and is removed", async (context) => {
  const receiver = createServer(async (request, response) => {
    for await (const chunk of request) receiver.emit("hook", JSON.parse(chunk));
    response.writeHead(204).end();
  }).listen(0, "127.0.0.1");
  context.after(() => receiver.close() && receiver.closeAllConnections());
  await once(receiver, "listening");
  const uri = `http://127.0.0.1:${receiver.address().port}/hooks`;
  await manager.hooks.sinks.add({ uri, name: "mine" });
  const came = once(receiver, "hook");
  const event = await manager.hooks.trigger("connected", { id: "s1" });
  const hook = await manager.hooks.expect("connected", { id: "s1" });
  assert.equal(hook.uuid, event.uuid);
  assert.equal((await came)[0].uuid, hook.uuid);
  const again = once(receiver, "hook");
  assert.equal(await delivered(hook), "mine");
  assert.equal(await manager.hooks.resend(hook), 1);
  assert.equal((await again)[0].uuid, hook.uuid);
  await manager.hooks.sinks.remove("mine");
  assert.deepEqual(await manager.hooks.sinks.list(), []);
  await assert.rejects(manager.hooks.sinks.remove("mine"), /404/);
});
