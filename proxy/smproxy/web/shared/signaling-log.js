/* The log of signaling messages. */

import { MessageLog } from "./message-log.js";
import { shownUrl } from "./redact.js";

const KINDS = [
  "isAvailable",
  "handleOffer",
  "handleAnswer",
  "handleCandidate",
  "requestOffer",
  "publish",
  "unpublish",
  "subscribe",
  "switchChannel",
];

/** Name a message by its kind. */
export function nameOf(message) {
  if (typeof message.request === "string") return message.request.split("?")[0]; // of WHIP and WHEP, as the next one
  if (typeof message.status === "number") return `HTTP ${message.status}`;
  const kind = KINDS.find((key) => key in message);
  if (kind === "isAvailable" && typeof message.isAvailable === "boolean") return `isAvailable: ${message.isAvailable}`;
  if (kind === "handleCandidate" && !message.data?.candidate?.candidate) return "handleCandidate (the last)";
  if (kind) return kind;
  const { data } = message;
  if (data?.sdp) return `SDP ${data.sdp.type}`;
  if (data?.candidate) return "candidate";
  return (
    data?.code ?? data?.status ?? data?.message ?? data?.type ?? message.type ?? Object.keys(message)[0] ?? "message"
  );
}

/** The log of a page's signaling. */
export class SignalingLog {
  #log = new MessageLog("messages");

  clear() {
    this.#log.clear();
  }

  opened(url) {
    this.#log.add({ who: "page →", what: "open", summary: shownUrl(url), message: shownUrl(url) });
  }

  add({ sender, message }) {
    const kind = message.data?.type === "error" || message.status >= 400 ? "bad" : "";
    const who = { client: "page →", server: "← server", sdk: "SDK event" }[sender];
    this.#log.add({ who, what: nameOf(message), summary: message.data?.message ?? "", message, kind });
  }
}
