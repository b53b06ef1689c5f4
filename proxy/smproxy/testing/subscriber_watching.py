"""A subscriber under observation: rates, and whether numbered pictures come in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from smproxy.testing.frame_marker import frame_code

if TYPE_CHECKING:
    from smproxy.testing.subscriber import Subscriber


class Watching:
    """Makes a subscriber and looks at each of its pictures."""

    def __init__(self, make: Callable[..., Subscriber], url: str, **options: Any) -> None:
        self.subscriber = make(url, on_picture=self._picture, **options)
        self._bytes = 0
        self._seconds = 0.0
        self._mark: int | None = None
        self._first: int | None = None
        self._last = 0
        self._numbered = 0
        self._backwards = 0

    def look(self, seconds: float) -> dict[str, Any]:
        """Return how it is now, with the bitrate since the last look; ``seconds`` since the start."""
        record = self._counts()
        passed = max(seconds - self._seconds, 0.001)
        bitrate = round((record["bytes"] - self._bytes) * 8 / passed)
        self._bytes, self._seconds = record["bytes"], seconds
        number = None if self._first is None else self._last
        signaling = "data channel" if self.subscriber.switched else "socket"
        if self.subscriber.transport == "whep":
            signaling = "whep"
        return {
            "state": self.subscriber.state,
            "signaling": signaling,
            **record,
            "bitrate": bitrate,
            "number": number,
        }

    def sum(self) -> dict[str, Any]:
        """Return the sums, the times of the start, and the count of numbered pictures."""
        subscriber = self.subscriber
        record = {
            "id": subscriber.request_id,
            "endedBy": subscriber.ended_by,
            "reason": subscriber.close_reason or None,
            "subscribeMs": subscriber.subscribe_ms,
            "firstPictureMs": subscriber.first_picture_ms,
            **self._counts(),
        }
        if subscriber.decodes:
            report = subscriber.picture_report
            record["latency"] = None if report.latency is None else asdict(report.latency)
            record["offset"], record["freezes"] = report.offset, list(report.freezes)
        if self._first is not None:
            missing = max(0, self._last - self._first + 1 - self._numbered)
            record["numbers"] = {
                "mark": self._mark,
                "first": self._first,
                "last": self._last,
                "missing": missing,
                "backwards": self._backwards,
            }
        return record

    def problem(self, had_to_last: bool) -> str | None:
        """Return in one line what is wrong, if anything: an end before its time, or no media."""
        subscriber = self.subscriber
        if subscriber.closed.is_set() and subscriber.ended_by != "client":
            unpublished = subscriber.unpublished.is_set()
            if had_to_last or not unpublished:
                return "the stream was unpublished" if unpublished else _end(subscriber)
        if not any(track.frames for track in subscriber.statistics.values()):
            return "no media came"
        return None

    def _counts(self) -> dict[str, Any]:
        tracks = self.subscriber.statistics
        video, counts = tracks.get("video"), list(tracks.values())
        return {
            "packets": sum(track.packets for track in counts),
            "bytes": sum(track.bytes for track in counts),
            "lost": sum(track.lost for track in counts),
            "frames": video.frames if video is not None else 0,
            "decoded": video.decoded if video is not None else 0,
            "size": f"{video.width}x{video.height}" if video is not None and video.width else "",
            "codecs": [track.codec for track in counts if track.codec],
        }

    def _picture(self, frame: Any) -> None:
        code = frame_code(frame)
        if code is None or code.is_time:
            return
        if code.mark != self._mark or self._first is None:
            self._mark, self._first, self._last, self._numbered = code.mark, code.number, code.number, 1
        elif code.number > self._last:
            self._last = code.number
            self._numbered += 1
        else:
            self._backwards += 1


def _end(subscriber: Subscriber) -> str:
    if subscriber.ended_by == "server":
        return f"the server ended it: {subscriber.close_reason or f'socket closed with {subscriber.close_code}'}"
    return f"the media connection was lost{f': {subscriber.close_reason}' if subscriber.close_reason else ''}"
