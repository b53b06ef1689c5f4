"""Reading an SDP session description (RFC 8866, RFC 8829). Sans-I/O, and as tolerant as real pages need.

SDKs move lines (``b=`` stands before ``c=``) and browsers add what nobody knows yet, so lines are looked up, not parsed by a
grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: m-lines of one description.
MAX_SECTIONS = 32
_MAX_LINES = 10_000
#: Formats of one m-line, of which RTP can have 128, and feedback messages of one format.
_MAX_FORMATS = 256
_MAX_FEEDBACK = 32
_SENDING = frozenset({"sendrecv", "sendonly"})
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
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
class Format:
    """One payload type of a section."""

    payload_type: int
    codec: str
    rtpmap: str
    clock_rate: int
    fmtp: str = ""
    feedback: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Section:
    """One m-line with its attributes."""

    kind: str
    port: int
    profile: str
    fmt: list[str]
    mid: str = ""
    direction: str = "sendrecv"
    bandwidth: int = 0
    formats: dict[int, Format] = field(default_factory=dict)
    reduced_size_rtcp: bool = False
    rtcp_mux: bool = False
    bundle_only: bool = False
    ssrcs: list[int] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True)
class Transport:
    """What the other side says of its ICE agent and its DTLS endpoint."""

    ufrag: str
    password: str = field(repr=False)
    setup: str
    fingerprints: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Description:
    """A session description that was read; ``bundle`` holds the mids that share a transport, as they were written."""

    sections: list[Section]
    bundle: tuple[str, ...]
    lite: bool
    session: Section

    def transport(self) -> Transport:
        """Return the transport of the first section of the bundle, as RFC 9143 has it.

        Raises:
            InvalidSdp: something that a transport cannot do without is missing.
        """
        sections, bundle, session = self.sections, self.bundle, self.session
        tagged = next((each for each in sections if bundle and each.mid == bundle[0]), sections[0])
        if missing := set(bundle) - {each.mid for each in sections}:
            raise InvalidSdp(f"is cut short: it bundles a section {min(missing)[:32]} that it does not have")
        ufrag, password = tagged.ufrag or session.ufrag, tagged.password or session.password
        if not 4 <= len(ufrag) <= 256 or not 22 <= len(password) <= 256 or not (ufrag + password).isascii():
            raise InvalidSdp("has no valid ICE credentials (a=ice-ufrag, a=ice-pwd)")
        fingerprints = tagged.fingerprints or session.fingerprints
        if not fingerprints:
            raise InvalidSdp("has no DTLS fingerprint (a=fingerprint)")
        setup = tagged.setup or session.setup or "actpass"
        if setup not in ("actpass", "active", "passive"):
            raise InvalidSdp("has no usable DTLS role (a=setup)")
        return Transport(ufrag, password, setup, fingerprints[:8])


def read_description(sdp: str) -> Description:
    """Parse an offer or an answer.

    Raises:
        InvalidSdp: it is no SDP, or not to be believed.
    """
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0" or len(lines) > _MAX_LINES:
        raise InvalidSdp("is not an SDP session description")
    session = Section("session", 0, "", [])
    sections: list[Section] = []
    bundle: tuple[str, ...] = ()
    lite = False
    for line in lines:
        kind, separator, value = line.strip().partition("=")
        if not separator:
            continue
        if kind == "m":
            sections.append(_media_line(value))
            if len(sections) > MAX_SECTIONS:
                raise InvalidSdp(f"has more than {MAX_SECTIONS} media sections")
        elif kind == "b" and sections:
            unit, _, amount = value.partition(":")
            if unit == "AS" and (wished := read_number(amount)) is not None and wished < 10**8:
                sections[-1].bandwidth = wished
        elif kind == "a":
            name, _, value = value.partition(":")
            if name == "group" and value.startswith("BUNDLE "):
                bundle = tuple(value.split()[1:])
            elif name == "ice-lite":
                lite = True
            else:
                _attribute(sections[-1] if sections else session, name, value)
    if not sections:
        raise InvalidSdp("has no media section")
    return Description(sections, bundle, lite, session)


def _media_line(value: str) -> Section:
    parts = value.split()
    port = read_number(parts[1].partition("/")[0]) if len(parts) > 3 else None
    if port is None or port > 65535 or len(parts) > 3 + _MAX_FORMATS:
        raise InvalidSdp("has a malformed media line")
    for each in parts[3:]:
        read_number(each)  # whoever reads it later need not expect the refusal
    return Section(parts[0], port, parts[2], parts[3:])


def _attribute(section: Section, name: str, value: str) -> None:
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
        case "rtcp-mux":
            section.rtcp_mux = True
        case "rtcp-rsize":
            section.reduced_size_rtcp = True
        case "bundle-only":
            section.bundle_only = True
        case "rtpmap" | "fmtp" | "rtcp-fb":
            _format_attribute(section, name, value)
        case "ssrc":
            ssrc = read_number(value.partition(" ")[0])
            if ssrc is not None and ssrc < 1 << 32 and ssrc not in section.ssrcs[:16]:
                section.ssrcs = [*section.ssrcs[:15], ssrc]
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


def _format_attribute(section: Section, name: str, value: str) -> None:
    target, _, rest = value.partition(" ")
    if name == "rtcp-fb" and target == "*":
        for known in section.formats.values():
            if len(known.feedback) < _MAX_FEEDBACK:
                known.feedback.append(rest)
        return
    number = read_number(target)
    if number is None or number > 127:
        return
    if name == "rtpmap":
        bits = rest.split("/")
        rate = read_number(bits[1]) if len(bits) > 1 else None
        if rate is not None and 0 < rate < 1 << 31:
            section.formats[number] = Format(number, bits[0].upper(), rest, rate)
    elif picked := section.formats.get(number):
        if name == "fmtp":
            picked.fmtp = rest
        elif len(picked.feedback) < _MAX_FEEDBACK:
            picked.feedback.append(rest)
