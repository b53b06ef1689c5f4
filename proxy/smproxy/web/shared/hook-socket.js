/* The page's own connection to the webhook socket, and what comes on it. */

import { byId, setText } from "./dom.js";
import { MessageLog } from "./message-log.js";
import { hookName, hookSummary } from "./labels.js";

const OPEN_MS = 3000;

/** Listens where the form says, for as long as the page does something. */
export class HookSocket {
  #socket = null;
  #log = new MessageLog("hooks");

  /** Open the socket. Resolves when it is open or failed: as on the original page, publishing goes on without hooks. */
  open(url, scope, token) {
    this.close();
    if (!url) return this.#showState("none asked for");
    let socket;
    try {
      const address = new URL(url);
      if (scope && !address.searchParams.has("customerScope")) address.searchParams.set("customerScope", scope);
      if (token) address.searchParams.set("accessToken", token);
      socket = new WebSocket(address);
    } catch {
      return this.#showState(`not a WebSocket URL`);
    }
    this.#socket = socket;
    this.#showState("connecting");
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket === socket)
        this.#showState(
          reason
            ? `closed: ${reason}`
            : code === 1006
              ? "nothing answers there, or it was refused"
              : `closed (${code})`,
        );
    });
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, OPEN_MS);
      const settled = () => {
        clearTimeout(timer);
        resolve();
      };
      socket.addEventListener("open", () => {
        this.#showState("connected");
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

  #showState(text) {
    setText(byId("hooks-state"), text);
    byId("hooks-state").dataset.state = text === "connected" ? "live" : "";
    return Promise.resolve();
  }

  #received(data) {
    let hook;
    try {
      hook = JSON.parse(data);
    } catch {
      return this.#log.add({ who: "hook", what: "not JSON", message: String(data) });
    }
    const what = hookName(hook);
    const kind = what === "connect_error" ? "bad" : "";
    return this.#log.add({
      who: hook.event,
      what,
      summary: [hook.connection?.id, hookSummary(hook)].filter(Boolean).join(" · "),
      message: hook,
      kind,
      at: hook.ts ?? Date.now(),
    });
  }
}
