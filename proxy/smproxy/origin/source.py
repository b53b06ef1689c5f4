"""A published stream as its subscribers see it. Sans-I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from smproxy.log_fields import About
from smproxy.origin.effects import Mute, PublisherMessage
from smproxy.origin.forward import Soon, TrackForwarder, at_once
from smproxy.origin.kept_pictures import KeptPictures
from smproxy.origin.payload_format import PayloadFormat
from smproxy.origin.token_bucket import TokenBucket
from smproxy.origin.track import Track
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: What a publisher may say to its subscribers, messages a second, and how many of them at once.
SAID_RATE = 50.0
SAID_BURST = 100.0


class StreamWatcher(Protocol):
    """A client that watches a name, whether there is a stream of that name or not.

    Must not block.
    """

    def published(self, source: Source) -> None:
        """There is a stream of the name now."""

    def unpublished(self, source: Source) -> None:
        """It is gone."""

    def inserted(self) -> None:
        """Another stream is to be shown in its place, or no longer."""

    def informed(self) -> None:
        """The stream's metadata changed."""

    def told(self, said: PublisherMessage, sender: str) -> None:
        """The publisher of the stream ``sender`` sent data to its subscribers."""

    def broke(self) -> None:
        """End, because one of the above raised."""


class Source:
    """A stream: its tracks, its metadata, and who watches it.

    Its pictures are kept from the latest key frame on while somebody watches, and also while nobody does unless the publisher
    answers requests for key frames: FFmpeg and OBS do not, and would have no picture for those who come in between.

    ``formats`` has the codec of each track as it was negotiated, so that the stream can be offered before its first packet.
    ``log_extra`` is the publisher's session. ``kept`` bounds how many streams keep pictures that nobody watches. ``soon`` tells
    the forwarders when a turn of the event loop is over.
    """

    def __init__(
        self,
        tracks: Iterable[Track],
        formats: Mapping[Kind, PayloadFormat],
        monotonic: Callable[[], float],
        log_extra: About | None = None,
        kept: KeptPictures | None = None,
        soon: Soon = at_once,
    ) -> None:
        self._soon = soon
        self._log_extra = log_extra
        self._kept = kept
        self.scope = ""
        self.name = ""
        self.tracks = {track.kind: track for track in tracks}
        self.formats = {kind: formats[kind] for kind in self.tracks}
        self.orientation: int | float | None = None
        #: It is another node's, and only watched here.
        self.pulled = False
        #: Who watches the name; the table of names keeps it.
        self.watchers: Mapping[StreamWatcher, bool] = {}
        self._monotonic = monotonic
        self._forwarders: dict[Kind, TrackForwarder] = {}
        self._users: set[object] = set()
        picture = self.tracks.get(Kind.VIDEO)
        if picture is not None:
            self._forwarders[Kind.VIDEO] = TrackForwarder(picture, soon)
            picture.on_answer = self._answered
        self._muted: dict[Kind, bool] = {}
        self._may_say = TokenBucket(SAID_RATE, SAID_BURST, monotonic)
        self._warned = False
        if kept is not None and picture is not None:
            kept.add(self)

    @property
    def watched(self) -> bool:
        """Whether somebody uses its forwarders."""
        return bool(self._users)

    def drop_pictures(self) -> None:
        """Keep no pictures until somebody watches."""
        if (forwarder := self._forwarders.pop(Kind.VIDEO, None)) is not None:
            forwarder.close()

    def forwarder(self, kind: Kind, user: object) -> TrackForwarder | None:
        """Return the forwarder of a track, made when there is none.

        ``None`` when the stream has no such track.

        Whoever uses forwarders is to ``leave`` at the end, so that those that are not needed are closed.
        """
        track = self.tracks.get(kind)
        if track is None:
            return None
        self._users.add(user)
        forwarder = self._forwarders.get(kind)
        if forwarder is None:
            forwarder = self._forwarders[kind] = TrackForwarder(track, self._soon)
            if self._kept is not None and kind is Kind.VIDEO:
                self._kept.add(self)
        return forwarder

    def leave(self, user: object) -> None:
        """Use the forwarders no more."""
        self._users.discard(user)
        self._close_unused()

    def _answered(self, _: Track) -> None:
        self._close_unused()

    def _close_unused(self) -> None:
        """Close the forwarders that nobody needs."""
        if self._users:
            return
        for kind in tuple(self._forwarders):
            if kind is Kind.AUDIO or self.tracks[kind].answers_requests:
                self._forwarders.pop(kind).close()
        if self._kept is not None:
            if Kind.VIDEO in self._forwarders:
                self._kept.add(self)
            else:
                self._kept.discard(self)

    def close(self) -> None:
        """Close the forwarders; those that are still attached lose them."""
        for forwarder in self._forwarders.values():
            forwarder.close()
        self._forwarders.clear()
        if self._kept is not None:
            self._kept.discard(self)
        for track in self.tracks.values():
            track.on_answer = _ignore

    def metadata(self) -> dict[str, str | int | float]:
        """Return the metadata for a player."""
        audio = Kind.AUDIO in self.tracks and not self._muted.get(Kind.AUDIO)
        video = Kind.VIDEO in self.tracks and not self._muted.get(Kind.VIDEO)
        mode = "Video/Audio" if audio and video else "Video" if video else "Audio" if audio else "Empty"
        values: dict[str, str | int | float] = {"streamingMode": mode}
        picture = self.tracks.get(Kind.VIDEO)
        if picture is not None and picture.width:
            values["resolution"] = f"{picture.width},{picture.height}"
        if self.orientation is not None:
            values["orientation"] = self.orientation
        return values

    # what the publisher says ------------------------------------------------------------------------------------------

    def mute(self, muted: Mute) -> list[Track]:
        """Take over what the publisher mutes; return the tracks for which that is a change."""
        changed = []
        for kind, value in ((Kind.AUDIO, muted.audio), (Kind.VIDEO, muted.video)):
            if value is not None:
                if kind in self.tracks:
                    self.tracks[kind].mute(value)
                    if value != self._muted.get(kind, False):
                        changed.append(self.tracks[kind])
                self._muted[kind] = value
        self.tell(lambda watcher: watcher.informed())
        return changed

    def is_muted(self, kind: Kind) -> bool:
        """Return whether the publisher has muted its media of a kind."""
        return self._muted.get(kind, False)

    def turn(self, orientation: int | float) -> None:
        """Take over how the publisher holds its device; degrees."""
        self.orientation = orientation
        self.tell(lambda watcher: watcher.informed())

    def say(self, said: PublisherMessage) -> None:
        """Pass on the publisher's data; what is too much of it is dropped."""
        if not self._may_say.take():
            if not self._warned:
                self._warned = True
                _log.info(
                    "stream %s: what it sends beyond %d messages a second is dropped",
                    self.name,
                    SAID_RATE,
                    extra=self._log_extra,
                )
            return
        self.tell(lambda watcher: watcher.told(said, self.name))

    def tell(self, what: Callable[[StreamWatcher], None]) -> None:
        """Notify all subscribers; what fails at one of them touches no other."""
        tell_all(self.watchers, what)


def _ignore(_: Track) -> None:
    pass


def tell_all(watchers: Iterable[StreamWatcher], what: Callable[[StreamWatcher], None]) -> None:
    """Do ``what`` with each of them, and end those with whom it cannot be done."""
    for watcher in tuple(watchers):
        try:
            what(watcher)
        except Exception:
            _log.exception("the origin failed at a subscriber")
            watcher.broke()
