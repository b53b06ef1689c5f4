"""SDP fragments of trickle ICE and ICE restarts (RFC 8840). Sans-I/O.

Their type is ``application/trickle-ice-sdpfrag``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_FRAGMENT = 65_536
_MAX_LINES = 2_000
_LINE = re.compile(r"[a-z]=\S.*")
#: Foundation, component, transport, priority, address, port, "typ", type and extensions (RFC 8839, 5.1).
_CANDIDATE = re.compile(r"[!-~]{1,64} \d{1,5} [!-~]+ \d{1,10} [!-~]+ \d{1,5} typ [!-~]+( .*)?")
#: RFC 8839, 5.4, but with any printable character: some clients use others than ice-chars.
_UFRAG = re.compile(r"[!-~]{4,256}")
_PASSWORD = re.compile(r"[!-~]{22,256}")


class InvalidFragment(ValueError):
    """The fragment cannot be read; the text is a sentence for the client's developer."""


@dataclass(frozen=True, slots=True)
class SdpFragment:
    """ICE information of one client.

    With BUNDLE all of it is for one transport, whichever media section it stands in. ``candidates`` are the values of
    ``a=candidate``, as they came: of any transport, with any address.
    """

    ufrag: str = ""
    password: str = field(default="", repr=False)
    candidates: tuple[str, ...] = ()


def read_fragment(body: bytes) -> SdpFragment:
    """Read a fragment; lines that mean nothing here are ignored.

    Raises:
        InvalidFragment: it is no SDP, has no ICE information, or some that is malformed.
    """
    if len(body) > MAX_FRAGMENT:
        raise InvalidFragment(f"The SDP fragment is longer than {MAX_FRAGMENT} bytes.")
    try:
        lines = [line.strip() for line in body.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise InvalidFragment("The SDP fragment is not UTF-8.") from None
    if len(lines) > _MAX_LINES:
        raise InvalidFragment(f"The SDP fragment has more than {_MAX_LINES} lines.")
    ufrag = password = ""
    candidates: list[str] = []
    end = False
    for line in lines:
        if not _LINE.fullmatch(line):
            raise InvalidFragment(f"The SDP fragment has a line that is no SDP: {line[:40]!r}.")
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].partition(":")
        if name == "candidate":
            if not _CANDIDATE.fullmatch(value):
                raise InvalidFragment(f"The SDP fragment has a malformed candidate: {value[:40]!r}.")
            candidates.append(value)
        elif name == "end-of-candidates":
            end = True
        elif name == "ice-ufrag":
            ufrag = _ice_value(_UFRAG, name, value)
        elif name == "ice-pwd":
            password = _ice_value(_PASSWORD, name, value)
    if not (candidates or end or ufrag):
        raise InvalidFragment("The SDP fragment has neither candidates nor ICE credentials.")
    if bool(ufrag) != bool(password):
        raise InvalidFragment("The SDP fragment needs both a=ice-ufrag and a=ice-pwd, or neither.")
    return SdpFragment(ufrag, password, tuple(candidates))


def _ice_value(pattern: re.Pattern[str], name: str, value: str) -> str:
    if not pattern.fullmatch(value):
        raise InvalidFragment(f"The SDP fragment has a malformed a={name}.")
    return value


def write_fragment(
    *, kind: str, mid: str, ufrag: str, password: str, candidates: Sequence[object], lite: bool = True
) -> bytes:
    """Write the server's ICE information for the first media section of the bundle.

    It has all candidates.

    ``lite`` must be as in the answer (RFC 9725, 4.3.3).
    """
    lines = [
        *(["a=ice-lite"] if lite else []),
        f"a=group:BUNDLE {mid}",
        f"m={kind} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        *(f"a=candidate:{each}" for each in candidates),
        "a=end-of-candidates",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
