// Does my receiver do the right thing with the hooks of real sessions?
import { StreamManager } from "stream-manager-proxy";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Board } from "../board/board.cjs";

let board, manager;

beforeAll(async () => {
  board = await Board.start();
  manager = await StreamManager.start({ hookUri: board.url, mediaGap: 0.5, mediaTimeout: 1, expectTimeout: 15_000 });
}, 30_000);
afterAll(async () => {
  await manager?.stop();
  await board?.stop();
});
beforeEach(() => manager.reset());

const patient = { timeout: 15_000 };

test("a live stream is on the board until it ends", async () => {
  const cam = await manager.publisher("cam-1");
  await expect.poll(() => board.live, patient).toEqual(["cam-1"]);
  await cam.stop();
  await expect.poll(() => board.live, patient).toEqual([]);
  await manager.hooks.expectOrder(["connected", "peer_leaved", "disconnected"], { id: "cam-1", session: expect.any(Number) });
}, 30_000);

test("a lost publisher leaves the board", async () => {
  const cam = await manager.publisher("cam-1");
  await expect.poll(() => board.live, patient).toEqual(["cam-1"]);
  await cam.vanish();
  await expect.poll(() => board.live, patient).toEqual([]);
}, 30_000);

test("hooks that the board missed come again", async () => {
  board.broken = true;
  await manager.publisher("cam-1");
  await manager.hooks.expect("peer_joined", { id: "cam-1" });
  expect(board.live).toEqual([]);
  board.broken = false;
  await expect.poll(() => board.live, patient).toEqual(["cam-1"]);
}, 30_000);
