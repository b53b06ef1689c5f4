// Does my receiver do the right thing with the hooks of real sessions?
const { StreamManager } = require("stream-manager-proxy");
const { Board } = require("../board/board.cjs");

let board, manager;

beforeAll(async () => {
  board = await Board.start();
  manager = await StreamManager.start({ hookUri: board.url, expectTimeout: 15_000 });
});
afterAll(async () => {
  await manager?.stop();
  await board?.stop();
});
beforeEach(() => manager.reset());

/** Wait until the board has taken a hook: it is asked for what became of its delivery. */
async function delivered(hook) {
  for (;;) {
    const [{ state }] = await manager.hooks.deliveries(hook);
    if (state === "delivered") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a live stream is on the board until it ends", async () => {
  const cam = await manager.publisher("cam-1");
  await delivered(await manager.hooks.expect("peer_joined", { id: "cam-1" }));
  expect(board.live).toEqual(["cam-1"]);
  await cam.stop();
  const end = await manager.hooks.expect("disconnected", { id: "cam-1", duration: expect.any(Number) });
  await delivered(end);
  expect(board.live).toEqual([]);
});

test("a refused publisher is never on the board", async () => {
  await manager.faults.add("publish-denied", { id: "cam-1" });
  await expect(manager.publisher("cam-1")).rejects.toThrow("NetStream.Publish.Denied");
  await delivered(await manager.hooks.expect("connect_error", { id: "cam-1" }));
  await manager.hooks.none("peer_joined", { id: "cam-1" });
  expect(board.live).toEqual([]);
});
