// The receiver under test: a board of the streams that are live, fed by lifecycle hooks.
const { createServer } = require("node:http");
const { once } = require("node:events");

exports.Board = class Board {
  #live = new Map();
  #handled = new Set();
  #server;
  /** Whether it answers 503. */
  broken = false;

  /** Listen on a free port. */
  static async start() {
    const board = new Board();
    board.#server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      if (!board.broken) board.#handle(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(board.broken ? 503 : 204).end();
    }).listen(0, "127.0.0.1");
    await once(board.#server, "listening");
    return board;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/hooks`;
  }

  /** The names of the live streams. */
  get live() {
    return [...this.#live.values()];
  }

  // A hook may come twice, so those that were handled are remembered.
  #handle({ uuid, payload, connection }) {
    if (this.#handled.has(uuid)) return;
    this.#handled.add(uuid);
    if (payload.event === "peer_joined") this.#live.set(payload.session, connection.id);
    else if (payload.state === "disconnected") this.#live.delete(payload.session);
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
};
