"""What an origin's report changes in a session, and which hooks it makes."""

from __future__ import annotations

from smproxy.manager.session import Session
from smproxy.signaling.node_channel import (
    LocalTrack,
    LocalTrackAttached,
    LocalTrackDetached,
    MediaBack,
    MediaGap,
    PlayStarted,
    RecordingStarted,
    Report,
    StreamStarted,
    TrackEnded,
    TrackMuted,
    TrackStarted,
    TransportUp,
)
from smproxy.signaling.payloads import Payload


def take_report(session: Session, report: Report, now_ms: int) -> list[Payload]:
    """Take a report of a living session; return its hooks. ``now_ms``: Unix milliseconds."""
    life = session.life
    match report:
        case TransportUp():
            return life.transport_up()
        case StreamStarted(stream=stream, scope=scope, epoch=epoch):
            session.epoch = epoch
            session.started_ms = session.started_ms or now_ms
            return [*life.stream_start(peer=stream, scope=scope), *life.unmute_all()]
        case PlayStarted(stream=stream, scope=scope):
            session.watched, session.started_ms = stream, session.started_ms or now_ms
            return life.stream_start(peer=session.params.username or session.params.id, scope=scope)
        case LocalTrack(track=slot, kind=kind):
            return life.slot(slot, kind)
        case LocalTrackAttached(track=slot, remote_peer=peer, remote_track=track):
            session.shown = peer
            return life.attach(slot, peer, track)
        case LocalTrackDetached(track=slot):
            return life.detach(slot)
        case RecordingStarted(file=file):
            return life.recording_start(file)
        case TrackStarted(track=track, kind=kind):
            return life.track_start(track, kind)
        case TrackMuted(track=track, muted=muted):
            return life.track_mute(track, muted=muted)
        case TrackEnded(track=track):
            return life.track_end(track)
        case MediaGap():
            return life.gap()
        case MediaBack():
            return life.back()
    return []
