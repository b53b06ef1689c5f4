"""RTP payload formats as SDP describes them (RFC 8866, 6.6).

Also: which of them carry the same media. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(slots=True)
class PayloadFormat:
    """One payload type of a section.

    ``codec`` in upper case, ``rtpmap`` and ``fmtp`` as they were written.
    """

    payload_type: int
    codec: str
    rtpmap: str
    clock_rate: int
    fmtp: str = ""
    feedback: list[str] = field(default_factory=list)


#: Payload types that need no rtpmap (RFC 3551, 6), as far as they are taken here: codec, rtpmap, clock rate.
STATIC_FORMATS = MappingProxyType(
    {0: ("PCMU", "PCMU/8000", 8000), 8: ("PCMA", "PCMA/8000", 8000), 9: ("G722", "G722/8000", 8000)}
)


def merge_fmtp(lines: Iterable[str]) -> str:
    """Make one ``fmtp`` of the lines of a payload type, whatever their order."""
    return ";".join(sorted(dict.fromkeys(each.strip().strip(";") for each in lines)))


def read_fmtp(fmtp: str) -> dict[str, str]:
    """Return the parameters, names in lower case; what has no value has an empty one."""
    pairs = (each.partition("=") for each in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def packetization_mode(picked: PayloadFormat) -> str:
    """Return how H.264 is cut into packets: ``"0"`` (the default), ``"1"`` or ``"2"``.

    See RFC 6184, section 6.
    """
    return read_fmtp(picked.fmtp).get("packetization-mode", "0")


def carries(negotiated: PayloadFormat, stream: PayloadFormat) -> bool:
    """Return whether packets of ``stream`` may be sent as ``negotiated``.

    H.264 profiles are not compared: browsers decode what the parameter sets in the stream say. A receiver of single NAL
    units (mode 0) cannot take fragments, though (RFC 6184, 6.2).
    """
    if (negotiated.codec, negotiated.clock_rate) != (stream.codec, stream.clock_rate):
        return False
    return stream.codec != "H264" or packetization_mode(stream) <= packetization_mode(negotiated)
