"""The body of an interstitial request, and when its inserts begin and end. Sans-I/O.

Source: Red5 Pro, Interstitial Media Insertion API. Paths are a scope and a name: ``live/stream1``.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

#: Inserts of one request.
MAX_INSERTS = 20
#: Seconds from now that an insert may begin in, and that it may last.
MAX_SECONDS = 86_400.0


class DurationControl(StrEnum):
    """What ``start`` and ``duration`` of an insert mean."""

    INDEFINITE = "INDEFINITE"
    STREAM_CLOCK = "STREAM_CLOCK"
    WALL_CLOCK = "WALL_CLOCK"


class Insert(msgspec.Struct, frozen=True, rename="camel"):
    """One insert. Times are in milliseconds; older documents call ``interstitial`` ``uri``."""

    target: str
    id: int = 0
    interstitial: str = ""
    uri: str = ""
    #: For files; a live stream has no end to begin again at.
    loop: bool | None = None
    type: str = DurationControl.INDEFINITE.value
    is_interstitial_audio: bool | None = True
    is_interstitial_video: bool | None = True
    start: int | None = None
    duration: int | None = None

    @property
    def path(self) -> str:
        """The stream to insert."""
        return self.interstitial or self.uri


class InterstitialBody(msgspec.Struct, frozen=True):
    """A request. With ``resume``, the path of a target, the inserts do not count."""

    user: str
    digest: str
    inserts: list[Insert] | None = None
    resume: str | None = None


class InsertTiming(msgspec.Struct, frozen=True):
    """When an insert begins and how long it lasts, in seconds; ``None``: until it is resumed."""

    starts_in: float
    duration: float | None


_decoder = msgspec.json.Decoder(InterstitialBody)


def read_interstitial(body: bytes) -> InterstitialBody:
    """Read a request.

    Raises:
        ValueError: it cannot be used; the message is a sentence.
    """
    try:
        asked = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(
            f'The body must be {{"user", "digest", "inserts": […]}} or {{…, "resume"}}: {error}.'
        ) from None
    if asked.resume is None and not asked.inserts:
        raise ValueError('The body has neither "inserts" nor "resume".')
    if asked.resume is None and len(asked.inserts or ()) > MAX_INSERTS:
        raise ValueError(f'"inserts" has more than {MAX_INSERTS} entries.')
    return asked


def split_path(path: str, key: str) -> tuple[str, str]:
    """Return scope and name of a path.

    Raises:
        ValueError: it has not both.
    """
    scope, _, name = path.strip("/").rpartition("/")
    if not scope or not name:
        raise ValueError(f'"{key}" must be the path of a stream, as "live/stream1", not {path[:100]!r}.')
    return scope, name


def read_timing(insert: Insert, *, now_ms: int, published_ms: int) -> InsertTiming:
    """Return when an insert begins, and how long it lasts.

    What should have begun already begins now, and ends when it would have.

    ``published_ms``: when the target was published, Unix milliseconds like ``now_ms``.

    Raises:
        ValueError: it is over already, or too long.
    """
    try:
        control = DurationControl(insert.type.upper())
    except ValueError:
        names = ", ".join(DurationControl)
        raise ValueError(f'"type" is {insert.type[:40]!r}; there are {names}.') from None
    if control is DurationControl.INDEFINITE:
        return InsertTiming(0.0, None)
    if not insert.duration or insert.duration < 0 or (insert.start or 0) < 0:
        raise ValueError(f'{control.value} needs "start" and "duration" in milliseconds, 0 and 1 at least.')
    begins_ms = (insert.start or 0) + (published_ms if control is DurationControl.STREAM_CLOCK else 0)
    starts_in = (begins_ms - now_ms) / 1000
    duration = insert.duration / 1000 + min(starts_in, 0.0)
    if duration <= 0:
        raise ValueError(f"The insert {insert.id} is over already: it ended {-duration:.1f} s ago.")
    if max(starts_in, duration) > MAX_SECONDS:
        raise ValueError(f"The insert {insert.id} begins or ends more than {MAX_SECONDS:g} s from now.")
    return InsertTiming(max(starts_in, 0.0), duration)
