// Faults, sessions, streams, recordings, the back end of a test and the timeline.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { StreamManager } from "../dist/esm/index.js";

let manager;

before(async () => {
  manager = await StreamManager.start({ authBackEnd: true, expectTimeout: 20_000 });
});
after(() => manager.stop());
beforeEach(() => manager.reset());

/** Ask for an upgrade as a publisher does, with plain HTTP. */
async function connect(params) {
  const query = new URLSearchParams({
    id: "cam-1",
    customerScope: "acme",
    username: "ann",
    password: "secret",
    app: "live",
    ...params,
  });
  const offer = await fetch(`${manager.url}/live/whip/endpoint/${query.get("id")}?${query}`, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: "v=0\r\n",
  });
  return offer.status;
}

test("faults are added with their parameters, act, and are removed", async () => {
  const { faults } = manager;
  const fault = await faults.add("http-error", { id: "cam-1", count: 2, status: 418 });
  assert.equal(await connect(), 418);
  assert.equal(await fault.injected(), 1);
  assert.deepEqual(
    (await faults.list()).map(({ fault, parameters }) => [fault, parameters.status]),
    [["http-error", 418]],
  );
  await fault.remove();
  assert.notEqual(await connect(), 418);
  await faults.add("hook-drop");
  await faults.clear();
  assert.deepEqual(await faults.list(), []);
  await assert.rejects(faults.add("publish-denid"), /400: .*did you mean publish-denied/);
  await assert.rejects(faults.add("publish-denied", { colour: "blue" }), /400: .*colour/);
});

test("the back end of the test is asked, and decides", async () => {
  manager.auth.deny("ann");
  assert.equal(await connect(), 401);
  assert.deepEqual(
    manager.auth.calls.map(({ kind, username, stream }) => [kind, username, stream]),
    [["validate", "ann", "cam-1"]],
  );
  await manager.hooks.expect("connect_error", { id: "cam-1", error: 3 });
  manager.auth.allow();
  assert.notEqual(await connect(), 401);
  manager.auth.answer({ status: 500 });
  assert.equal(await connect(), 403);
  await manager.reset();
  assert.deepEqual(manager.auth.calls, []);
  await assert.rejects(async () => (await StreamManager.connect(manager.url)).auth, /start\(\{ authBackEnd: true \}\)/);
});

test("a session has a transcript, an export and a timeline", async () => {
  assert.equal(await connect(), 400);
  const [session] = await manager.sessions.list({ state: ["failed", "disconnected"], id: "cam-1" });
  assert.equal((await manager.sessions.get(session.session)).error, "invalid_sdp");
  const [first] = await manager.sessions.transcript(session.session);
  assert.equal(first.from, "client");
  assert.match(await manager.sessions.export(session.session), /^\{.*\n\{/);
  const text = await manager.timeline();
  assert.match(
    text,
    new RegExp(`^session ${session.session}: publisher 'cam-1' of acme: failed \\(invalid_sdp\\)\n  \\d\\d:\\d\\d:`),
  );
  assert.match(text, /client → origin +POST/);
  assert.doesNotMatch(text, /secret/);
  await assert.rejects(manager.sessions.kick(session.session), /409/);
});

test("what is not there is said", async () => {
  assert.deepEqual(await manager.streams.list(), []);
  assert.deepEqual(await manager.recordings.list(), []);
  await assert.rejects(manager.streams.get("a b", "live/deep"), /GET \/streams\/live\/deep\/a%20b: 404/);
  await assert.rejects(manager.recordings.read("acme/x.webm"), /404/);
  await assert.rejects(manager.api.get("/api/v1/nodes", { query: { nothing: 1 } }), /400/);
});
