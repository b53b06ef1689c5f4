// Made from the code of the stream manager by tests/check_docs.py --write.

/** The version of the stream manager that this package was made with. */
export const VERSION = "0.2.0.dev0";

/** The events, and what happens in each. */
export const STATES = {
  session: ["connecting", "connected", "connect_error", "reconnect", "reconnected", "disconnected"],
  peer: ["peer_joined", "peer_leaved"],
  remote_track: ["remote_track_started", "remote_track_muted", "remote_track_unmuted", "remote_track_ended"],
  recording: ["recording_started", "recording_saved", "recording_failed"],
  local_track: ["local_track", "local_track_attached", "local_track_detached"],
  stats: ["stats"],
  route: ["route_begin", "route_success", "route_error"],
  room: ["room_started", "room_all_left", "room_stopped"],
} as const;

/** What can be asked of a hook. */
export const FIELDS = [
  "after_ms",
  "app",
  "bitrate",
  "bytes",
  "customerScope",
  "duration",
  "epoch",
  "error",
  "event",
  "file",
  "id",
  "kind",
  "lost",
  "media",
  "message",
  "meta",
  "node",
  "origin",
  "packets",
  "peer",
  "peers",
  "reason",
  "recording",
  "remote_ip",
  "remote_peer",
  "remote_track",
  "role",
  "room",
  "rtt_ms",
  "seq",
  "session",
  "size",
  "state",
  "track",
  "transport",
  "ts",
  "username",
  "uuid",
] as const;

/** Milliseconds in which a hook that must not come could come. */
export const QUIET = 250;

/** Rows of the table of what came. */
export const MAX_ROWS = 15;
