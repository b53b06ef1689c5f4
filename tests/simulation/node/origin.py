"""A simulated origin: real name table, reports in the order of a real one, clients that come and go as they like."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from smproxy.manager.attempt import Attempt
from smproxy.manager.origin_registry import Node
from smproxy.manager.relay.observer import RelayEnd
from smproxy.origin.streams import Streams
from smproxy.signaling.node_channel import (
    AttemptFailed,
    Command,
    Evict,
    Kick,
    LocalTrack,
    LocalTrackAttached,
    LocalTrackDetached,
    MediaBack,
    MediaGap,
    PeerEnded,
    PlayStarted,
    RecordingEnded,
    RecordingStarted,
    Report,
    StreamStarted,
    TrackEnded,
    TrackMuted,
    TrackStarted,
    TrackStatistics,
    TransportUp,
)
from smproxy.signaling.payloads import ConnectError, Kind, Reason, Role

from tests.simulation.node.loop import SimulatedLoop

_KINDS = {"audio": Kind.AUDIO, "video": Kind.VIDEO}


@dataclass(eq=False)
class SimulatedClient:
    """A client at the origin, and its socket at the proxy."""

    attempt: Attempt
    origin: SimulatedOrigin
    publisher: bool
    up: bool = False
    joined: bool = False
    over: bool = False
    dialed: bool = False
    recording: bool = False
    #: Seconds that the file of its recording takes to be complete.
    closing: float = 0.2
    tracks: set[str] = field(default_factory=set)

    def displaced(self) -> None:
        """Free the name: another client takes it over."""
        self.origin.end(self, Reason.REPLACED)

    def close(self, code: int, reason: str = "") -> None:
        """Close the relay, as the proxy does."""
        self.origin.loop.call_later(0.001, self.socket_ended, RelayEnd("proxy", code, False, reason))

    def socket_ended(self, end: RelayEnd) -> None:
        """Take that both legs are gone."""
        if not self.attempt.relay_ended:
            self.attempt.ended(end)
            if end.by == "client" and not end.clean:
                self.origin.lost(self)


class SimulatedOrigin:
    """One origin in the process."""

    def __init__(
        self,
        loop: SimulatedLoop,
        rng: random.Random,
        report: Callable[[Node, Report], None],
        takeover: float | None,
        lost: Callable[[SimulatedClient], None],
    ) -> None:
        self.loop = loop
        self._rng = rng
        self._report = report
        self.lost = lost
        self.node = Node("origin", "origin", 1, command=self.command)
        self.streams = Streams(takeover, loop.time)
        self.clients: dict[str, SimulatedClient] = {}

    def add(self, attempt: Attempt, publisher: bool) -> SimulatedClient:
        """Take a client."""
        client = SimulatedClient(attempt, self, publisher)
        attempt.relay = client  # type: ignore[assignment]
        if publisher:
            attempt._take_role(Role.PUBLISHER)
        else:
            attempt._take_role(Role.SUBSCRIBER)
        self.clients[attempt.token] = client
        return client

    def command(self, command: Command) -> None:
        """Carry out a command of the manager, now or a little later."""
        match command:
            case Evict(token) if (client := self.clients.get(token)) is not None:
                self._free(client)
                client.over = True
                self._record_no_more(client)
            case Kick(token, reason) if (client := self.clients.get(token)) is not None:
                self.loop.call_later(self._rng.choice((0.0, 0.01)), self.end, client, reason)

    def report(self, report: Report) -> None:
        """Report to the manager."""
        self._report(self.node, report)

    # what clients do

    def progress(self, client: SimulatedClient, what: str) -> None:
        """Let something happen to a client's media."""
        if client.over:
            return
        token = client.attempt.token
        if not client.dialed:
            client.dialed = True
            client.attempt.dialed()
        if what == "all":
            for each in ("start", "up", "audio", "video"):
                self.progress(client, each)
        elif what == "up" and not client.up and self._claim(client):
            client.up = True
            self.report(TransportUp(token))
        elif what == "start" and not client.joined:
            self._start(client)
        elif what in _KINDS and (client.up or client.joined):
            self._track(client, what)
        elif what == "track end" and client.tracks:
            track = sorted(client.tracks)[0]
            client.tracks.discard(track)
            slot = 0 if track == "audio" else 1
            self.report(TrackEnded(token, f"{track}_main") if client.publisher else LocalTrackDetached(token, slot))
        elif what == "gap" and client.up:
            self.report(MediaGap(token))
        elif what == "back" and client.up:
            self.report(MediaBack(token))
        elif what in ("record", "record slowly") and client.publisher and client.joined and not client.recording:
            client.recording, client.closing = True, 60.0 if what == "record slowly" else 0.2
            self.report(RecordingStarted(token, f"{token}.webm"))
        elif what == "recorded" and client.recording:
            self._recorded(client)
        elif what in ("mute", "unmute") and client.publisher and client.tracks:
            self.report(TrackMuted(token, f"{min(client.tracks)}_main", what == "mute"))
        elif what == "counted" and client.tracks:
            self.report(TrackStatistics(token, f"{min(client.tracks)}_main", "VP8", 1, 100, 0))

    def _start(self, client: SimulatedClient) -> None:
        attempt = client.attempt
        scope, name = attempt.params.scope, attempt.params.id
        if client.publisher:
            if not self._claim(client):
                return
            client.joined = True
            self.report(StreamStarted(attempt.token, name, scope))
        else:
            client.joined = True
            self.report(PlayStarted(attempt.token, name.removeprefix("subscriber-"), scope))

    def _claim(self, client: SimulatedClient) -> bool:
        """Take a publisher's name with its offer, before all else; refuse it when another has the name."""
        attempt = client.attempt
        if not client.publisher or self.streams.claim(attempt.params.scope, attempt.params.id, client):
            return True
        client.over = True
        self.report(AttemptFailed(attempt.token, ConnectError.NAME_IN_USE))
        self.loop.call_later(0.3, client.socket_ended, RelayEnd("origin", 1000, True))
        return False

    def _track(self, client: SimulatedClient, what: str) -> None:
        token, kind = client.attempt.token, _KINDS[what]
        client.tracks.add(what)
        if client.publisher:
            self.report(TrackStarted(token, f"{what}_main", kind))
        else:
            self.report(LocalTrack(token, int(kind), kind))
            self.report(LocalTrackAttached(token, int(kind), "cam-1", f"{what}_main"))

    def leave(self, client: SimulatedClient, how: str) -> None:
        """End a client in some way."""
        match how:
            case "lost":
                client.socket_ended(RelayEnd("client", None, False))
                self.end(client, Reason.TIMEOUT, lost=True)
            case "goodbye":
                self.end(client, Reason.USER_ACTION)
                client.socket_ended(RelayEnd("client", 1000, True))
            case "timeout":
                self.end(client, Reason.TIMEOUT, lost=True)
            case "failed" if not client.up and not client.over:
                self._free(client)
                client.over = True
                self.report(AttemptFailed(client.attempt.token, ConnectError.DTLS_FAILED))
            case "unreachable" if not client.dialed and not client.over:
                client.over = client.dialed = True
                client.attempt.dial_failed("simulated")
            case "origin lost":
                client.socket_ended(RelayEnd("origin", None, False))
            case "relay":
                client.socket_ended(RelayEnd("client", 1001, self._rng.random() < 0.5))

    def end(self, client: SimulatedClient, reason: Reason, lost: bool = False) -> None:
        """End a client's peer: its name is free, then it is reported."""
        if client.over:
            return
        self._free(client)
        client.over = True
        token = client.attempt.token
        for track in sorted(client.tracks):
            if client.publisher:
                self.report(TrackEnded(token, f"{track}_main"))
        self.report(PeerEnded(token, reason, lost))
        if lost:
            self.lost(client)
        self._record_no_more(client)

    def stop(self) -> None:
        """Complete what is being recorded."""
        for client in self.clients.values():
            client.over = True
            self._recorded(client)

    def _record_no_more(self, client: SimulatedClient) -> None:
        """Close the file of a client that is gone, which takes its time."""
        if client.recording:
            self.loop.call_later(client.closing, self._recorded, client)

    def _recorded(self, client: SimulatedClient) -> None:
        if client.recording:
            client.recording = False
            failed = "no room" if self._rng.random() < 0.3 else None
            self.report(RecordingEnded(client.attempt.token, f"{client.attempt.token}.webm", 1, 1, failed))

    def _free(self, client: SimulatedClient) -> None:
        if client.publisher:
            self.streams.free(client.attempt.params.scope, client.attempt.params.id, client)
