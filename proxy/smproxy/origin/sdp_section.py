"""One media section of an SDP (RFC 8866, 5.14 and 6) and how its attributes are read.

Sans-I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from smproxy.origin.payload_format import STATIC_FORMATS, PayloadFormat, merge_fmtp

#: Formats of one m-line, of which RTP can have 128, and feedback messages of one format.
_MAX_FORMATS = 256
_MAX_FEEDBACK = 32
#: fmtp lines of one format.
_MAX_FMTP = 8
_SENDING = frozenset({"sendrecv", "sendonly"})
_RECEIVING = frozenset({"sendrecv", "recvonly"})
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
#: SSRC groups whose later members repair the first (RFC 4588, RFC 8627).
_REPAIR_GROUPS = frozenset({"FID", "FEC", "FEC-FR"})
#: Digits of 2^64; no number of an SDP has more.
_MAX_DIGITS = 20
_TOKEN = re.compile(r"[!-~]{1,256}")
_FINGERPRINT = re.compile(r"(sha-(?:256|384|512))\s+((?:[0-9a-fA-F]{2}:){31,63}[0-9a-fA-F]{2})", re.IGNORECASE)


class InvalidSdp(ValueError):
    """It cannot be read, or something without which no connection can be made is missing.

    The text is a predicate (``has no media section``): who read the SDP knows whether it was an offer or an answer.
    """


def read_number(text: str) -> int | None:
    """Read a decimal number; ``None`` when it is none.

    Raises:
        InvalidSdp: it has more digits than any number of an SDP; Python would refuse to convert the very long ones.
    """
    if not text.isascii() or not text.isdecimal():
        return None
    if len(text) > _MAX_DIGITS:
        raise InvalidSdp(f"has a number of {len(text)} digits")
    return int(text)


@dataclass(slots=True)
class Section:
    """One m-line with its attributes. ``ssrcs`` are those of media, not of its repair."""

    kind: str
    port: int
    profile: str
    fmt: list[str]
    mid: str = ""
    direction: str = ""
    bandwidth: int = 0
    formats: dict[int, PayloadFormat] = field(default_factory=dict)
    reduced_size_rtcp: bool = False
    rtcp_mux: bool = False
    bundle_only: bool = False
    simulcast: bool = False
    #: The MediaStream that the section belongs to; empty or ``-`` when it names none (RFC 8830).
    stream_id: str = ""
    ssrcs: list[int] = field(default_factory=list)
    #: Sources of one picture in several sizes (``a=ssrc-group:SIM``), the smallest first.
    simulcast_ssrcs: list[int] = field(default_factory=list)
    sctp_port: int = 5000
    max_message_size: int = 65536
    ufrag: str = ""
    password: str = field(default="", repr=False)
    setup: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)

    @property
    def sends(self) -> bool:
        """Whether media may come."""
        return self.direction in _SENDING

    @property
    def receives(self) -> bool:
        """Whether media may be sent to it."""
        return self.direction in _RECEIVING


def read_media_line(value: str) -> Section:
    """Read the value of an m-line.

    Raises:
        InvalidSdp: it is none.
    """
    parts = value.split()
    port = read_number(parts[1].partition("/")[0]) if len(parts) > 3 else None
    if port is None or port > 65535 or len(parts) > 3 + _MAX_FORMATS:
        raise InvalidSdp("has a malformed media line")
    for each in parts[3:]:
        read_number(each)  # whoever reads it later need not expect the refusal
    return Section(parts[0], port, parts[2], parts[3:])


class SectionReader:
    """Read the attributes of one section, which have no order, and put them together at its end."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.rtpmaps: dict[int, str] = {}
        self.fmtps: dict[int, list[str]] = {}
        #: By payload type; the key ``None`` holds for all of them (RFC 4585, 4.2).
        self.feedback: dict[int | None, list[str]] = {}
        self.repairs: set[int] = set()

    def attribute(self, name: str, value: str) -> None:
        """Take an attribute; what is not known is passed over."""
        section = self.section
        match name:
            case "mid" if _TOKEN.fullmatch(value):
                section.mid = value
            case "ice-ufrag":
                section.ufrag = value
            case "ice-pwd":
                section.password = value
            case "setup":
                section.setup = value
            case "fingerprint":
                if found := _FINGERPRINT.fullmatch(value):
                    section.fingerprints.append((found[1].lower(), found[2].upper()))
            case "rtcp-mux" | "rtcp-mux-only":
                section.rtcp_mux = True
            case "rtcp-rsize":
                section.reduced_size_rtcp = True
            case "bundle-only":
                section.bundle_only = True
            case "simulcast":
                section.simulcast = True
            case "msid":
                section.stream_id = value.partition(" ")[0]
            case "rtpmap" | "fmtp" | "rtcp-fb":
                self._format_attribute(name, value)
            case "ssrc":
                ssrc = read_number(value.partition(" ")[0])
                if ssrc is not None and ssrc < 1 << 32 and ssrc not in section.ssrcs[:16]:
                    section.ssrcs = [*section.ssrcs[:15], ssrc]
            case "ssrc-group":
                semantics, *members = value.split()[:17] or [""]
                if semantics in _REPAIR_GROUPS:
                    self.repairs.update(each for each in map(read_number, members[1:]) if each is not None)
                elif semantics == "SIM" and not section.simulcast_ssrcs:
                    section.simulcast_ssrcs = [each for each in map(read_number, members) if each is not None]
            case "sctp-port" | "sctpmap":
                port = read_number(value.partition(" ")[0])
                if port is not None and 0 < port < 65536:
                    section.sctp_port = port
            case "max-message-size":
                size = read_number(value)
                if size is not None and size < 10**11:
                    section.max_message_size = size
            case _ if name in _DIRECTIONS:
                section.direction = name

    def _format_attribute(self, name: str, value: str) -> None:
        target, _, rest = value.partition(" ")
        number = None if name == "rtcp-fb" and target == "*" else read_number(target)
        rest = rest.strip()
        if name == "rtcp-fb" and (target == "*" or (number is not None and number < 128)):
            known = self.feedback.setdefault(number, [])
            if len(known) < _MAX_FEEDBACK:
                known.append(rest)
        elif number is None or number > 127:
            return
        elif name == "rtpmap":
            if rate := rest.partition("/")[2].partition("/")[0]:
                read_number(rate)
                self.rtpmaps.setdefault(number, rest)
        elif name == "fmtp" and len(kept := self.fmtps.setdefault(number, [])) < _MAX_FMTP:
            kept.append(rest)

    def finish(self, direction: str) -> None:
        """Put the formats together.

        ``direction`` is the one of the whole session, for a section that names none.
        """
        section = self.section
        section.direction = section.direction or direction or "sendrecv"
        section.ssrcs = [each for each in section.ssrcs if each not in self.repairs] or section.ssrcs
        for number in [*self.rtpmaps, *(each for each in STATIC_FORMATS if str(each) in section.fmt)]:
            if number in section.formats or (picked := self._format(number)) is None:
                continue
            if number in self.fmtps:
                lines = self.fmtps[number]
                picked.fmtp = lines[0] if len(lines) == 1 else merge_fmtp(lines)
            said = [*self.feedback.get(number, ()), *self.feedback.get(None, ())]
            picked.feedback = list(dict.fromkeys(said))
            section.formats[number] = picked

    def _format(self, number: int) -> PayloadFormat | None:
        rtpmap = self.rtpmaps.get(number)
        if rtpmap is None:
            return PayloadFormat(number, *STATIC_FORMATS[number])
        name, *rest = rtpmap.split("/")
        rate = read_number(rest[0]) if rest else None
        return PayloadFormat(number, name.upper(), rtpmap, rate) if rate is not None and 0 < rate < 1 << 31 else None
