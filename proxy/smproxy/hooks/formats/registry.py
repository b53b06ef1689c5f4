"""The formats by name."""

from __future__ import annotations

from smproxy.hooks.formats.cloudevents import CloudEvents
from smproxy.hooks.formats.envelope import Envelope
from smproxy.hooks.formats.format import Format
from smproxy.hooks.formats.red5 import Red5

#: What a sink sends unless told otherwise.
ENVELOPE: Format = Envelope()

FORMATS: dict[str, Format] = {made.name: made for made in (ENVELOPE, Red5(), CloudEvents())}


def format_named(name: str) -> Format:
    """Return the format called ``name``.

    Raises ``ValueError`` with one line that lists those there are.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise ValueError(f"unknown hook format {name[:40]!r}: expected {', '.join(FORMATS)}") from None
