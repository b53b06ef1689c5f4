/* The page's own connection to the webhook socket, and what comes on it. */

import { by, setText } from "./dom.js";
import { Log } from "./log.js";
import { happened, told } from "./words.js";

const OPEN_MS = 3000;

/** Listens where the form says, for as long as the page does something. */
export class HookSocket {
  #socket = null;
  #log = new Log("hooks");

  /** Open the socket. Resolves when it is open or failed: as on the original page, hooks are no condition for the stream. */
  open(url, scope) {
    this.close();
    if (!url) return this.#say("none asked for");
    let socket;
    try {
      const address = new URL(url);
      if (scope && !address.searchParams.has("customerScope")) address.searchParams.set("customerScope", scope);
      socket = new WebSocket(address);
    } catch {
      return this.#say(`not a WebSocket URL`);
    }
    this.#socket = socket;
    this.#say("connecting");
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket === socket)
        this.#say(reason ? `closed: ${reason}` : code === 1006 ? "nothing answers there" : `closed (${code})`);
    });
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, OPEN_MS);
      const settled = () => {
        clearTimeout(timer);
        resolve();
      };
      socket.addEventListener("open", () => {
        this.#say("connected");
        settled();
      });
      socket.addEventListener("error", settled);
    });
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #say(text) {
    setText(by("hooks-state"), text);
    by("hooks-state").dataset.state = text === "connected" ? "live" : "";
    return Promise.resolve();
  }

  #received(data) {
    let hook;
    try {
      hook = JSON.parse(data);
    } catch {
      return this.#log.add({ who: "hook", what: "not JSON", message: String(data) });
    }
    const what = happened(hook);
    const kind = what === "connect_error" ? "bad" : "";
    return this.#log.add({
      who: hook.event,
      what,
      words: [hook.connection?.id, told(hook)].filter(Boolean).join(" · "),
      message: hook,
      kind,
      at: hook.ts ?? Date.now(),
    });
  }
}
