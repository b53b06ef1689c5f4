// Made from the code of the stream manager by tests/check_docs.py --write.

/** What a fault chooses events of hooks by: their names and states; an empty text stands for all. */
export type EventChoice = "" | "session" | "peer" | "remote_track" | "recording" | "local_track" | "stats" | "route" | "room" | "connecting" | "connected" | "connect_error" | "reconnect" | "reconnected" | "disconnected" | "peer_joined" | "peer_leaved" | "remote_track_started" | "remote_track_muted" | "remote_track_unmuted" | "remote_track_ended" | "recording_started" | "recording_saved" | "recording_failed" | "local_track_attached" | "local_track_detached" | "route_begin" | "route_success" | "route_error" | "room_started" | "room_all_left" | "room_stopped" | "websocket" | "websocket_connected" | "websocket_disconnected";

/** The faults that there are, and the parameters of each. */
export interface FaultParameters {
  /** The client is refused as an authentication back end refuses it, with `NetConnection.Connect.Rejected`; nobody is asked. Hook: `connect_error`, error 3, with a `message`. */
  "auth-denied": object;
  /** The client is let in, and its session ends when the verdict comes, with close code 1008. Hook: `disconnected`, reason 6, or `connect_error`, error 3, if it was not connected yet. */
  "auth-lazy-close": { after?: number; };
  /** The client is refused as with `auth-denied`, because the back end's answer is not JSON. */
  "auth-nonsense": object;
  /** The client waits for the verdict, then is refused as with `auth-denied`, because the back end gave no answer. */
  "auth-stalled": { after?: number; };
  /** After the start the client, which is kept on its socket, gets notices of its bandwidth; media is not touched. */
  "bandwidth": { notice?: "all" | "insufficient" | "recovering" | "sufficient"; after?: number; every?: number; };
  /** The candidates of the answer are sent one by one after the end of candidates, in any order; so are the client's. */
  "candidates-reordered": { early?: boolean; };
  /** The socket is closed in place of a message, or after the stream is live (the client is then kept on its socket). 1006 cuts the connection without a Close frame. */
  "close": { stage?: "connect" | "available" | "offer" | "answer" | "trickle" | "publish" | "starting" | "live"; code?: number; reason?: string; after?: number; };
  /** The upgrade is accepted, then refused with `NetConnection.Connect.Failed` and a Close frame; no origin is dialled. Hooks: `connecting`, `connect_error`, error 2. */
  "connect-failed": { code?: number; reason?: string; };
  /** The upgrade is accepted, then refused with `NetConnection.Connect.Rejected` and a Close frame; no origin is dialled. Hook: `connect_error`, error 3. */
  "connect-rejected": { type?: "status" | "error"; code?: number; reason?: string; };
  /** What comes on the socket goes on later, in order. Media and the data channel are not delayed. */
  "latency": { ms?: number; jitter?: number; sender?: "both" | "client" | "origin"; };
  /** `isAvailable` is answered with `true`, and the socket is closed after a grace. Hook: `connect_error`, error 4. A client that does not ask is not touched. */
  "name-in-use": { grace?: number; };
  /** "NAME starting" is withheld; the origin has the stream and its media, and the hooks tell of them. */
  "no-starting": object;
  /** `NetConnection.ICE.TrickleCompleted` is withheld: the transport comes up, and the client never says `publish`. */
  "no-trickle-completed": object;
  /** `handleOffer` is answered with an error and never reaches the origin. Hook: `connect_error`, error 0. */
  "offer-error": { code?: string; message?: string; };
  /** `publish` is answered with an error and never reaches the origin. Hook: `connect_error`, error 3; with a transport that is up already, `disconnected` when the client leaves. */
  "publish-denied": { code?: string; message?: string; };
  /** From a stage on the client hears nothing more; the socket stays open. */
  "silence": { stage?: "connect" | "available" | "offer" | "answer" | "trickle" | "publish" | "starting"; };
  /** "NAME stopping" is withheld, and the client kept on its socket; the stream ends at the origin and in the hooks. */
  "unpublish-unanswered": object;
  /** The upgrade is answered with an HTTP error, as by a balancer in front. No hooks. */
  "upgrade-refused": { status?: number; };
  /** The body of a successful answer is `half`: cut off in the middle, as if whole; `garbage`: no session description; `empty`; or the connection is `cut` in its middle. The session lives until its client gives up. */
  "http-broken-answer": { how?: "half" | "garbage" | "empty" | "cut"; on?: "post" | "patch"; };
  /** A successful answer has another `Content-Type`; its body is as it was. */
  "http-content-type": { type?: string; on?: "post" | "patch"; };
  /** The request reaches the origin at once; its answer comes later. */
  "http-delay": { seconds?: number; on?: "post" | "patch" | "delete" | "options"; };
  /** A request is refused with an HTTP error and never reaches the origin: 401 with `WWW-Authenticate`, 405 with `Allow`, 415 with `Accept-Post`; the reason is `application/problem+json`. Hook, for POST: `connect_error`, error 0 for 400 and 422, 4 for 409, 5 from 500 on, else 3. */
  "http-error": { status?: number; on?: "post" | "patch" | "delete" | "options"; retry_after?: number; detail?: string; };
  /** The answer that begins a session has another `ETag` than the origin knows, as after an ICE restart by somebody else: a PATCH with it in `If-Match` is answered 412. Or it has none, a weak one, or `*`, which is no entity tag. */
  "http-etag": { how?: "changed" | "missing" | "weak" | "any"; };
  /** The answer that begins a session names ICE servers in `Link` headers (RFC 9725, 4.6), in place of any others, that do not answer. */
  "http-ice-servers": { uris?: string; };
  /** The answer that begins a session has no `Location`, or it is an absolute URL or a reference relative to the endpoint (RFC 3986, 4.2). The session lives. */
  "http-location": { form?: "none" | "absolute" | "relative"; };
  /** A request is answered with a redirect: by default to the same endpoint with `redirected=1` in its query, which then is not redirected. WHIP allows 307 and 308 only, and none for PATCH and DELETE: the others are what clients must survive. */
  "http-redirect": { status?: number; location?: string; on?: "post" | "patch" | "delete" | "options"; };
  /** The origin loses the session some time after it has begun: its media ends, and its URL is answered 404. Hook: `disconnected`, reason 4; before the transport is up `connect_error`, error 2. */
  "http-session-gone": { after?: number; };
  /** A request is never answered; the connection stays open until the client leaves. With `lost=false` it has reached the origin, which begins, changes or ends the session. */
  "http-unanswered": { on?: "post" | "patch" | "delete" | "options"; lost?: boolean; };
  /** The TURN servers that `Link` headers name (RFC 9725, 4.6) have a wrong `credential`: the client gets no relay, and with `iceTransportPolicy: relay` no connection. */
  "turn-auth-failed": { on?: "options" | "post"; };
  /** The origin takes the offer and answers no STUN check. It gives up after 15 s with an error. Hook: `connect_error`, error 1. */
  "ice-never-completes": object;
  /** The origin hears nothing more of the client, whose socket stays. With `what=all`: `reconnect` after the media gap, `disconnected`, reason 1, after the media timeout. With `what=rtp` the connection lives on without packets, and no hook tells. */
  "media-stops": { after?: number; what?: "all" | "rtp"; };
  /** The path between client and origin is a bad one, from the first connectivity check on: STUN, DTLS, RTP and RTCP share its delay, its rate and its queue, so that browsers react as in life. Conditions that are given replace those of the profile. Of several such faults the latest holds, for each direction. */
  "network": { profile?: "good" | "2g" | "3g" | "4g" | "lte-train" | "wifi-crowded" | "satellite"; direction?: "both" | "up" | "down"; delay?: number; jitter?: number; rate?: number; queue?: number; loss?: number; burst?: number; reorder?: number; duplicate?: number; outage?: number; every?: number; scenario?: string; repeat?: number; };
  /** This part of the RTP packets is lost between client and origin, in both directions, retransmissions among them; RTCP and STUN are not touched. */
  "packet-loss": { percent?: number; burst?: number; };
  /** The origin's peer connection ends some time after it came up; the socket stays for 5 s. Hook: `disconnected`, reason 4. */
  "peer-dies": { after?: number; };
  /** No datagram passes between client and origin, as behind a firewall that lets only TCP through; those of a TURN server do, which has the address `relay`, and media over TCP (`--media-tcp`). Without either the transport does not come up. */
  "udp-blocked": { relay?: string; };
  /** Some time after the first session that it is for, its node (`--nodes`) is lost with all sessions, whoever's they are, and takes no connections. When that is noticed its state is `FAULT` and new clients go elsewhere. Hooks: `disconnected`, reason 4. */
  "node-fault": { after?: number; unnoticed?: number; };
  /** Some time after the first session that it is for, its node (`--nodes`) is in `SOFT_SUNSET`: new clients go elsewhere, and sessions that are left after `within` are ended. Hooks: `disconnected`, reason 2. */
  "node-sunset": { after?: number; within?: number; };
  /** Some time after the first session that it is for, all such sessions of that origin lose socket and media at once, without a goodbye. Hooks: `disconnected`, reason 4; before the transport is up `connect_error`, error 2. */
  "origin-crash": { after?: number; };
  /** The connection is refused as when no origin has capacity: `NetConnection.Connect.Rejected`, close code 1013. Hook: `connect_error`, error 3. */
  "origin-full": { reason?: string; };
  /** The dial to the origin fails: `NetConnection.Connect.Failed`, close code 1014. Hooks: `connecting`, `connect_error`, error 2. */
  "origin-unreachable": { after?: number; };
  /** `peer_joined` is delivered several times in a row, with the same `uuid`. */
  "duplicate-publish": { times?: number; };
  /** An event is delivered later. Events that are not meant overtake it. */
  "hook-delay": { seconds?: number; event?: EventChoice; };
  /** An event is never delivered; the journal has it, as skipped. */
  "hook-drop": { event?: EventChoice; };
  /** An event is delivered several times in a row, with the same `uuid`. */
  "hook-duplicate": { times?: number; event?: EventChoice; };
  /** So many events of a session are collected, at most for the patience, and delivered in another order. */
  "hook-reorder": { window?: number; patience?: number; event?: EventChoice; };
  /** `peer_leaved` and `disconnected` of a session come only after the `peer_joined` of the next session of the same stream, or when nobody has published it for so long. */
  "late-unpublish-after-republish": { patience?: number; };
  /** After `disconnected` the session's latest `connected` or `reconnected` is delivered again, with its old `uuid`. */
  "stale-keepalive": { after?: number; };
  /** `peer_leaved` and `disconnected` are never delivered. */
  "unpublish-lost": object;
  /** `peer_joined` is never delivered; the end of the stream is. */
  "unpublish-without-publish": object;
}
