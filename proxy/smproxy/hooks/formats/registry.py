"""The formats by name."""

from __future__ import annotations

from smproxy.hooks.formats.ant_media import AntMedia
from smproxy.hooks.formats.atm0s import Atm0s, Atm0sQuirks
from smproxy.hooks.formats.cloudevents import CloudEvents
from smproxy.hooks.formats.envelope import Envelope
from smproxy.hooks.formats.format import Format
from smproxy.hooks.formats.livekit import LiveKit
from smproxy.hooks.formats.ome import OvenMediaEngine
from smproxy.hooks.formats.red5 import Red5
from smproxy.hooks.formats.srs import Srs

#: What a sink sends unless told otherwise.
ENVELOPE: Format = Envelope()

_MADE: tuple[Format, ...] = (
    ENVELOPE, Red5(), CloudEvents(), LiveKit(), AntMedia(), OvenMediaEngine(), Srs(), Atm0s(), Atm0sQuirks(),
)  # fmt: skip
FORMATS: dict[str, Format] = {made.name: made for made in _MADE}

#: Formats of servers that count a hook as sent whatever its receiver answers.
UNCHECKED = frozenset({Atm0sQuirks.name})


def format_named(name: str) -> Format:
    """Return the format called ``name``.

    Raises ``ValueError`` with one line that lists those there are.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise ValueError(f"unknown hook format {name[:40]!r}: expected {', '.join(FORMATS)}") from None
