/* Labels for the numbers of hooks and the codes of signaling. */

import { bitrate, bytes, duration } from "./format.js";

const REASONS = [
  "the user stopped or left",
  "nothing came any more, or the connection broke",
  "the node shut down",
  "ended by the administrator",
  "the origin was lost",
  "another publisher took the stream name over",
  "the credentials were refused",
  "its lifetime is over",
];

const ERRORS = [
  "the offer cannot be used",
  "the media transport did not come up in time, or the client left before",
  "the origin cannot be reached",
  "rejected",
  "the stream name is in use",
  "the origin failed",
  "the DTLS handshake failed",
];

/* Of the event `route`. */
const ROUTE_ERRORS = [
  "there is no origin",
  "the origin did not answer in time",
  "the origin cannot be reached",
  "the origin's answer cannot be used",
];

/* The API names what the hooks number. */
const REASON_NAMES = [
  "user_action",
  "timeout",
  "node_shutdown",
  "kicked",
  "origin_lost",
  "replaced",
  "unauthorized",
  "expired",
];
const ERROR_NAMES = [
  "invalid_sdp",
  "timeout",
  "origin_unreachable",
  "rejected",
  "name_in_use",
  "origin_error",
  "dtls_failed",
];

function labelOf(value, labels, names) {
  if (value === null || value === undefined) return "";
  return labels[typeof value === "number" ? value : names.indexOf(value)] ?? String(value);
}

/** Why a session ended, from its `reason` or its `error`; empty while it goes on. */
export function endingText({ reason, error }) {
  return labelOf(error, ERRORS, ERROR_NAMES) || labelOf(reason, REASONS, REASON_NAMES);
}

/** The label of a receiver: host and path of its URL, without which two receivers on one host look the same. */
export function receiverLabel(name) {
  if (!URL.canParse(name)) return name;
  const { host, pathname } = new URL(name);
  return host ? host + pathname.replace(/\/$/, "") : name;
}

const STATES = {
  "NetConnection.Connect.Rejected": "The stream manager refused the connection",
  "NetConnection.Connect.Failed": "The origin cannot be reached",
  "NetConnection.Connect.Closed": "The server ended the session",
  "NetStream.Play.UnpublishNotify": "The publisher has stopped",
};

/** A status code of the signaling as a sentence without its full stop. */
export function statusText(code) {
  return STATES[code] ?? code;
}

/** The name of a hook: `connected`, `peer_joined`. */
export function hookName(hook) {
  return hook.payload?.state ?? hook.payload?.event ?? hook.event;
}

/** The details of a hook, in a few words. */
export function hookSummary({ event, payload }) {
  const { track, kind, remote_peer: peer, remote_track: source, after_ms: after, duration: lasted } = payload;
  const parts = [
    typeof track === "number" ? `slot ${track}` : track,
    kind === 0 ? "audio" : kind === 1 ? "video" : null,
    peer ? `${peer} ${source ?? ""}` : null,
    payload.room,
    payload.file,
    payload.origin,
    typeof payload.peers === "number" ? `${payload.peers} joined` : null,
    typeof payload.bitrate === "number" ? `${bytes(payload.bytes)}, ${bitrate(payload.bitrate)}, ${payload.lost} lost` : null,
    typeof payload.size === "number" ? bytes(payload.size) : null,
    typeof after === "number" ? `after ${duration(after)}` : null,
    typeof lasted === "number" ? `${duration(lasted)} long` : null,
    event === "route" ? labelOf(payload.error, ROUTE_ERRORS, []) : endingText(payload),
  ];
  return parts.filter(Boolean).join(", ");
}
