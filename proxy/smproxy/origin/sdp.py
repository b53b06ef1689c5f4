"""Read an SDP session description (RFC 8866, RFC 8829).

Sans-I/O, and as tolerant as real pages need.

SDKs move lines (``b=`` stands before ``c=``), Firefox sorts attributes and browsers add what nobody knows yet, so lines are
looked up, not parsed by a grammar: attributes of a section have no order, and its formats are put together at its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from smproxy.origin.sdp_section import InvalidSdp, Section, SectionReader, read_media_line, read_number

#: m-lines of one description.
MAX_SECTIONS = 32
_MAX_LINES = 10_000
#: Ends of a line: CRLF by the grammar, LF alone by many a script. Other separators of ``str.splitlines`` are text.
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """The other side's ICE agent and DTLS endpoint, as its SDP describes them."""

    ufrag: str
    password: str = field(repr=False)
    setup: str
    fingerprints: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Description:
    """A session description that was read.

    ``bundle`` holds the mids that share a transport, as they were written.
    """

    sections: list[Section]
    bundle: tuple[str, ...]
    lite: bool
    session: Section

    def transport(self) -> TransportParameters:
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
            raise InvalidSdp("has no DTLS fingerprint of SHA-256, SHA-384 or SHA-512 (a=fingerprint)")
        setup = tagged.setup or session.setup or "actpass"
        if setup not in ("actpass", "active", "passive"):
            raise InvalidSdp("has no usable DTLS role (a=setup)")
        return TransportParameters(ufrag, password, setup, fingerprints[:8])


def read_description(sdp: str) -> Description:
    """Parse an offer or an answer.

    Raises:
        InvalidSdp: it is no SDP, or not to be believed.
    """
    lines = _LINE_END.split(sdp.lstrip("\ufeff\r\n"))
    if lines[0].strip() != "v=0" or len(lines) > _MAX_LINES:
        raise InvalidSdp("is not an SDP session description")
    session = Section("session", 0, "", [])
    current = SectionReader(session)
    media: list[SectionReader] = []
    bundle: tuple[str, ...] = ()
    lite = False
    for line in lines:
        kind, separator, value = line.strip().partition("=")
        if not separator:
            continue
        if kind == "m":
            current = SectionReader(read_media_line(value))
            media.append(current)
            if len(media) > MAX_SECTIONS:
                raise InvalidSdp(f"has more than {MAX_SECTIONS} media sections")
        elif kind == "b" and media:
            unit, _, amount = value.partition(":")
            if unit == "AS" and (wished := read_number(amount)) is not None and wished < 10**8:
                current.section.bandwidth = wished
        elif kind == "a":
            name, _, value = value.partition(":")
            if name == "group" and value.startswith("BUNDLE "):
                bundle = bundle or tuple(value.split()[1:])
            elif name == "ice-lite":
                lite = True
            else:
                current.attribute(name, value.strip())
    if not media:
        raise InvalidSdp("has no media section")
    for each in media:
        each.finish(session.direction)
    return Description([each.section for each in media], bundle, lite, session)
