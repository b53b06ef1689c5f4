// Expectations against a running stream manager.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { HookExpectationError, StreamManager } from "../dist/esm/index.js";

const LONG = 20_000;
let manager;

before(async () => {
  manager = await StreamManager.start({ expectTimeout: LONG });
});
after(() => manager.stop());
beforeEach(() => manager.reset());

test("a hook of the past and one of the future are found", async () => {
  await manager.hooks.trigger("connected", { id: "s1", customerScope: "acme" });
  const past = await manager.hooks.expect("session", { state: "connected", id: "s1" }, { timeout: 0 });
  assert.equal(past.get("customerScope"), "acme");
  const waiting = manager.hooks.expect("connected", { id: "s2" });
  await manager.hooks.trigger("connected", { id: "s2" });
  const future = await waiting;
  assert.deepEqual([future.number, future.state, future.id], [2, "connected", "s2"]);
  assert.notEqual(future.session, past.session);
});

test("a field is compared, or given to a function, a pattern or a matcher", async () => {
  await manager.hooks.trigger("connected", { id: "cam-7", customerScope: "acme", meta: { room: "A" } });
  const none = { timeout: 0 };
  await manager.hooks.expect("connected", { meta: { room: "A" } }, none);
  await manager.hooks.expect("connected", { session: (number) => number > 6 }, none);
  await manager.hooks.expect("connected", { id: /^cam-\d$/ }, none);
  await manager.hooks.expect("connected", { seq: { asymmetricMatch: (value) => value === 1 } }, none);
  for (const fields of [{ recording: 0 }, { seq: "1" }, { reason: 0 }, { track: null }, { id: /^s/ }]) {
    await assert.rejects(manager.hooks.expect("connected", fields, none), HookExpectationError);
  }
  await assert.rejects(manager.hooks.expect("connected", { id: undefined }), /id is undefined/);
});

test("hooks are found in their order, and after another", async () => {
  const { hooks } = manager;
  for (const id of ["s1", "s2"]) await hooks.trigger("connected", { id });
  for (const id of ["s2", "s1"]) await hooks.trigger("disconnected", { id, reason: 0 });
  const found = await hooks.expectOrder(["connected", { state: "disconnected", reason: 0 }], { id: "s1" });
  assert.deepEqual(
    found.map(({ number }) => number),
    [1, 4],
  );
  const second = await hooks.expect("session", {}, { after: found[0] });
  assert.equal(second.number, 2);
});

test("an unwelcome hook fails none when it comes", async () => {
  await manager.hooks.none("disconnected", {}, { during: 0 });
  const waiting = manager.hooks.none("connected", {}, { during: 3_600_000 });
  await manager.hooks.trigger("connected", { id: "s1" });
  await assert.rejects(waiting, /but hook 1 is one/);
});

test("what was cleared or reset no longer counts, also when somebody else resets", async () => {
  const { hooks } = manager;
  await hooks.trigger("connected", { id: "s1" });
  await hooks.clear();
  assert.deepEqual(await hooks.list(), []);
  await hooks.trigger("connected", { id: "s2" });
  assert.deepEqual(
    (await hooks.list({ state: "connected" })).map(({ id }) => id),
    ["s2"],
  );
  const other = await StreamManager.connect(manager.url);
  await other.reset();
  const waiting = hooks.expect("connected", { id: "s3" });
  await other.hooks.trigger("connected", { id: "s3" });
  await waiting;
  await manager.reset();
  assert.deepEqual(await hooks.list(), []);
});

test("of a shared stream manager only the customer scope counts that was asked for", async () => {
  const mine = await StreamManager.connect(`${manager.webSocketUrl}`, { customerScope: "mine", expectTimeout: LONG });
  const waiting = mine.hooks.expect("connected");
  await manager.hooks.trigger("connected", { id: "s1", customerScope: "theirs" });
  await manager.hooks.trigger("connected", { id: "s2", customerScope: "mine" });
  assert.equal((await waiting).id, "s2");
});
