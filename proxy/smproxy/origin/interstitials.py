"""Interstitials: the subscribers of a stream are shown another one, for a while. Sans-I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from smproxy.origin.streams import Insertion, Streams
from smproxy.signaling.node_channel import InsertStream, InterstitialState, ResumeStream
from smproxy.signaling.payloads import Kind

_log = logging.getLogger(__name__)

#: Inserts that wait for their time or are shown, of one origin; more are dropped.
MAX_INTERSTITIALS = 200


@dataclass(slots=True, eq=False)
class _Interstitial:
    wanted: InsertStream
    begins: float
    ends: float | None
    insertion: Insertion | None = None

    @property
    def target(self) -> tuple[str, str]:
        return self.wanted.target_scope, self.wanted.target

    @property
    def due(self) -> float | None:
        return self.begins if self.insertion is None else self.ends


class Interstitials:
    """The interstitials of an origin: one at a time for each target, the latest to begin.

    ``advance`` begins and ends what is due and is called after each change, and when the time that it returned has passed.
    """

    def __init__(self, streams: Streams, monotonic: Callable[[], float]) -> None:
        self._streams = streams
        self._monotonic = monotonic
        self._known: list[_Interstitial] = []

    def add(self, wanted: InsertStream) -> None:
        """Show a stream to the subscribers of another one, now or later."""
        self.advance()
        if len(self._known) >= MAX_INTERSTITIALS:
            _log.warning("an interstitial for %s was dropped: %d wait already", wanted.target, MAX_INTERSTITIALS)
            return
        begins = self._monotonic() + wanted.starts_in
        self._known.append(_Interstitial(wanted, begins, None if wanted.duration is None else begins + wanted.duration))

    def resume(self, wanted: ResumeStream) -> None:
        """Show a target again, and forget what waits to be shown instead of it."""
        for each in [each for each in self._known if each.target == (wanted.scope, wanted.stream)]:
            self._end(each, "resumed")

    def advance(self) -> float | None:
        """Begin and end what is due; return the seconds until something is due next."""
        now = self._monotonic()
        for each in [each for each in self._known if each.insertion is not None]:
            if self._streams.insertion(*each.target) is not each.insertion:
                self._end(each, "its stream or its target ended")
            elif each.ends is not None and each.ends <= now:
                self._end(each, "its time is over")
        for each in sorted(self._known, key=lambda each: each.begins):
            if each.insertion is None and each.begins <= now:
                self._begin(each)
        waits = [each.due - now for each in self._known if each.due is not None]
        return max(min(waits), 0.0) if waits else None

    def _begin(self, begun: _Interstitial) -> None:
        wanted = begun.wanted
        for path in ((wanted.target_scope, wanted.target), (wanted.scope, wanted.stream)):
            if not self._streams.is_live(*path):
                self._known.remove(begun)
                _log.warning("no interstitial for %s/%s: %s/%s is not live", *begun.target, *path)
                return
        for each in [each for each in self._known if each.insertion is not None and each.target == begun.target]:
            self._end(each, "another one begins")
        kinds = {Kind.AUDIO: wanted.audio, Kind.VIDEO: wanted.video}
        begun.insertion = Insertion(wanted.scope, wanted.stream, frozenset(kind for kind, on in kinds.items() if on))
        _log.info("interstitial %s/%s for %s/%s begins", wanted.scope, wanted.stream, *begun.target)
        self._streams.insert(*begun.target, begun.insertion)

    def _end(self, ended: _Interstitial, why: str) -> None:
        self._known.remove(ended)
        if ended.insertion is None:
            return
        _log.info("interstitial %s/%s for %s/%s ends: %s", ended.wanted.scope, ended.wanted.stream, *ended.target, why)
        if self._streams.insertion(*ended.target) is ended.insertion:
            self._streams.insert(*ended.target, None)

    def states(self) -> list[InterstitialState]:
        """Return what is shown and what waits; an insertion whose stream or target ended is gone."""
        now = self._monotonic()
        return [
            InterstitialState(
                id=each.wanted.id,
                target=f"{each.wanted.target_scope}/{each.wanted.target}",
                interstitial=f"{each.wanted.scope}/{each.wanted.stream}",
                audio=each.wanted.audio,
                video=each.wanted.video,
                shown=each.insertion is not None,
                starts_in=max(each.begins - now, 0.0),
                ends_in=None if each.ends is None else max(each.ends - now, 0.0),
            )
            for each in self._known
            if each.insertion is None or self._streams.insertion(*each.target) is each.insertion
        ]
