/* The signaling socket: one JSON object per text frame, requests and answers matched by their kind. */

import { statusText } from "./labels.js";

/* How long the reason of a refusal, which comes with the close, is waited for. */
const CLOSE_REASON_MS = 1500;
const ANSWER_MS = 15_000;

/** What went wrong, as a sentence for the person at the page. */
export class SignalingError extends Error {}

/** A socket to the stream manager. `onMessage({ sender, message })` gets each message, `onClose(text)` the end. */
export class SignalingSocket {
  #socket;
  #waiting = new Set();
  #failure = null;
  #refusal = null;
  #opened = false;
  #listeners;

  constructor(url, { onMessage = () => {}, onClose = () => {} } = {}) {
    this.#listeners = { onMessage, onClose };
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("open", () => (this.#opened = true));
    this.#socket.addEventListener("message", ({ data }) => this.#received(data));
    this.#socket.addEventListener("close", (event) => this.#closed(event));
  }

  /** Send a message. */
  send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(message));
    this.#listeners.onMessage({ sender: "client", message });
  }

  /** Wait for the first message that `match` says true to; a refusal, an error or the end of the socket rejects. */
  wait(match, what, ms = ANSWER_MS) {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const settle = (act) => (value) => {
        clearTimeout(timer);
        this.#waiting.delete(entry);
        act(value);
      };
      const entry = { match, resolve: settle(resolve), reject: settle(reject) };
      const late = () =>
        entry.reject(new SignalingError(`No answer: ${what} did not come within ${ms / 1000} seconds.`));
      const timer = setTimeout(late, ms);
      this.#waiting.add(entry);
    });
  }

  /** Wait for the status with this code. */
  waitStatus(code, ms) {
    return this.wait((message) => message.data?.code === code, code, ms);
  }

  close() {
    this.#socket.close();
  }

  #received(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    this.#listeners.onMessage({ sender: "server", message });
    const { type, code, message: text } = message.data ?? {};
    if (code === "NetConnection.Connect.Rejected" || code === "NetConnection.Connect.Failed") {
      this.#refusal = code;
      setTimeout(() => this.#fail(new SignalingError(`${statusText(code)}.`)), CLOSE_REASON_MS);
    } else if (type === "error") {
      this.#fail(new SignalingError(text ?? code ?? "The server reported an error without saying which."));
    }
    for (const entry of [...this.#waiting]) if (entry.match(message)) entry.resolve(message);
  }

  #closed({ code, reason }) {
    const what = this.#refusal ? statusText(this.#refusal) : "The connection was closed";
    let text = reason ? `${what}: ${reason}.` : `${what} (code ${code}).`;
    if (code === 1000 && !reason && !this.#refusal) text = "The server ended the session.";
    if (!this.#opened)
      text = "No connection: nothing answers at this address, or the stream manager refused the upgrade.";
    this.#fail(new SignalingError(text));
    this.#listeners.onClose(text);
  }

  #fail(error) {
    this.#failure ??= error;
    for (const entry of [...this.#waiting]) entry.reject(this.#failure);
  }
}
