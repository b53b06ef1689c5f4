// What the fixtures promise: tests/integration/test_js_package.py runs it, and looks at what the failed test leaves.
import { expect, test } from "stream-manager-proxy/playwright";

const ann = { username: "ann", password: "secret" };

for (const number of [1, 2]) {
  test(`a clean slate, and names that other tests have, too (${number})`, async ({
    hooks,
    publisher,
    customerScope,
    streamManager,
  }) => {
    expect(await hooks.list()).toEqual([]);
    const name = test.info().project.name === "own" ? "cam-1" : undefined;
    const cam = await publisher(name, ann);
    const hook = await hooks.expect("connected", { id: cam.name });
    expect([hook.number > 1, hook.get("customerScope")]).toEqual([true, customerScope]);
    expect((await hooks.list({ state: "connected" })).length).toBe(1);
    expect((await streamManager.timeline()).match(/^session/gm)).toHaveLength(1);
  });
}

test("a fault of this test is off after it", async ({ faults, customerScope }) => {
  await faults.add("hook-drop", { customerScope });
});

test("a test fails", async ({ hooks, publisher, customerScope }) => {
  const cam = await publisher(undefined, { ...ann, transport: "whip" });
  await hooks.expect("remote_track_started", { id: cam.name });
  await hooks.expect("connected", { id: "somebody else", customerScope }, { timeout: 0 });
});

test("the back end of the test", async ({ auth, publisher }) => {
  auth.deny("ann");
  await expect(publisher("cam-1", ann)).rejects.toThrow("publisher cam-1 is failed");
  expect(auth.calls).toHaveLength(1);
});
