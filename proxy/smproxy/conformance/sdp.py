"""SDP as far as the check needs it: offers to send, and answers to look at."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

_ICE = string.ascii_letters + string.digits
#: Codecs that about every server takes, by kind: payload type, rtpmap, fmtp.
OPUS = (111, "opus/48000/2", "minptime=10;useinbandfec=1")
VP8 = (96, "VP8/90000", "")
H264 = (102, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
#: One that no server takes.
UNKNOWN = (120, "x-unheard-of/90000", "")


@dataclass(frozen=True, slots=True)
class Media:
    """One section of an offer to be written."""

    kind: str
    codecs: Sequence[tuple[int, str, str]]
    direction: str
    extra: tuple[str, ...] = ()


def write_offer(media: Sequence[Media], *, rng: random.Random, setup: str = "actpass", stream: str = "stream-1") -> str:
    """Write an offer as a client of RFC 9725 makes it, without candidates: nobody will connect."""
    mids = " ".join(str(index) for index in range(len(media)))
    fingerprint = ":".join(f"{rng.randrange(256):02X}" for _ in range(32))
    ufrag, password = new_credentials(rng)
    lines = [
        "v=0",
        f"o=- {rng.getrandbits(62)} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {mids}",
        f"a=msid-semantic: WMS {stream}",
    ]
    for index, each in enumerate(media):
        numbers = " ".join(str(number) for number, _, _ in each.codecs)
        lines += [
            f"m={each.kind} {9 if index == 0 else 0} UDP/TLS/RTP/SAVPF {numbers}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{index}",
            *(["a=bundle-only"] if index else []),
            f"a=ice-ufrag:{ufrag}",
            f"a=ice-pwd:{password}",
            "a=ice-options:trickle",
            f"a=fingerprint:sha-256 {fingerprint}",
            f"a=setup:{setup}",
            f"a={each.direction}",
            f"a=msid:{stream} track-{index}",
            "a=rtcp-mux",
            "a=rtcp-mux-only",
        ]
        for number, rtpmap, fmtp in each.codecs:
            lines.append(f"a=rtpmap:{number} {rtpmap}")
            if fmtp:
                lines.append(f"a=fmtp:{number} {fmtp}")
            if each.kind == "video":
                lines += [f"a=rtcp-fb:{number} nack", f"a=rtcp-fb:{number} nack pli"]
        lines += [f"a={extra}" for extra in each.extra]
    return "\r\n".join(lines) + "\r\n"


def new_credentials(rng: random.Random) -> tuple[str, str]:
    """Make a user name fragment and a password for ICE."""
    return "".join(rng.choices(_ICE, k=8)), "".join(rng.choices(_ICE, k=24))


@dataclass(frozen=True, slots=True)
class ReadSection:
    """One section of an answer; ``lines`` are its attributes without ``a=``."""

    kind: str
    port: int
    lines: tuple[str, ...]

    def value(self, name: str) -> str:
        """Return the value of an attribute; empty when there is none."""
        return next((line.partition(":")[2].strip() for line in self.lines if line.startswith(f"{name}:")), "")

    def has(self, name: str) -> bool:
        """Return whether a flag, or an attribute with a value, is there."""
        return any(line == name or line.startswith(f"{name}:") for line in self.lines)

    @property
    def candidates(self) -> list[str]:
        """The candidates."""
        return [line for line in self.lines if line.startswith("candidate:")]


@dataclass(frozen=True, slots=True)
class ReadDescription:
    """A description or a fragment of one: attributes of the session, and sections."""

    lines: tuple[str, ...]
    sections: tuple[ReadSection, ...]

    def value(self, name: str) -> str:
        """Return an attribute of the session, or of the first section that has it."""
        for part in (ReadSection("", 0, self.lines), *self.sections):
            if found := part.value(name):
                return found
        return ""

    def has(self, name: str) -> bool:
        """Return whether the session or a section has the attribute."""
        return any(part.has(name) for part in (ReadSection("", 0, self.lines), *self.sections))

    @property
    def media(self) -> list[ReadSection]:
        """The sections of audio and video that are not rejected."""
        return [each for each in self.sections if each.kind in ("audio", "video") and self.accepts(each)]

    def accepts(self, section: ReadSection) -> bool:
        """Return whether a section was accepted: it has a port, or shares that of its bundle."""
        return section.port != 0 or (section.has("bundle-only") and section.value("mid") in self.bundle)

    @property
    def bundle(self) -> list[str]:
        """The mids of the first BUNDLE group."""
        group = next((line for line in self.lines if line.startswith("group:BUNDLE")), "")
        return group.split()[1:]


def read(text: str) -> ReadDescription:
    """Read a description or a fragment; what is none of either has no sections."""
    session: list[str] = []
    sections: list[tuple[str, int, list[str]]] = []
    for line in re.split(r"\r\n|\n|\r", text):
        if line.startswith("m="):
            fields = line[2:].split()
            port = fields[1].partition("/")[0] if len(fields) > 1 else ""
            sections.append((fields[0] if fields else "", int(port) if port.isdecimal() and len(port) < 6 else 0, []))
        elif line.startswith("a="):
            (sections[-1][2] if sections else session).append(line[2:].strip())
    return ReadDescription(tuple(session), tuple(ReadSection(kind, port, tuple(rest)) for kind, port, rest in sections))


def write_fragment(ufrag: str, password: str, candidates: Sequence[str], *, mid: str = "0") -> str:
    """Write a fragment for trickling (RFC 8840, 9)."""
    lines = [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        *(f"a={each}" for each in candidates),
    ]
    return "\r\n".join(lines) + "\r\n"
