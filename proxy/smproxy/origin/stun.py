"""STUN binding messages, as far as an ICE lite agent needs them (RFC 8489, RFC 8445).

Sans-I/O.

Only what is used is read: a message that is cut short, not for us or not signed with the right password is ``None``.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
import zlib
from dataclasses import dataclass

BINDING_REQUEST = 0x0001
BINDING_RESPONSE = 0x0101
BINDING_ERROR = 0x0111

_COOKIE = 0x2112A442
_COOKIE_BYTES = _COOKIE.to_bytes(4, "big")
_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_FINGERPRINT_XOR = 0x5354554E

_USERNAME = 0x0006
_MESSAGE_INTEGRITY = 0x0008
_ERROR_CODE = 0x0009
_XOR_MAPPED_ADDRESS = 0x0020
_PRIORITY = 0x0024
_USE_CANDIDATE = 0x0025
_FINGERPRINT = 0x8028
_ICE_CONTROLLED = 0x8029

#: Longest datagram that is looked at; ICE checks have about 100 bytes.
MAX_STUN = 1280


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A connectivity check that was signed with our password."""

    transaction: bytes
    use_candidate: bool
    controlled: bool


def kind_of(datagram: bytes) -> int | None:
    """Return the message type of a STUN message, ``None`` when it is something else."""
    if not 20 <= len(datagram) <= MAX_STUN or datagram[4:8] != _COOKIE_BYTES:
        return None
    kind, length = _ATTRIBUTE.unpack_from(datagram)
    return kind if length == len(datagram) - 20 else None


def read_ufrag(datagram: bytes) -> str | None:
    """Return whom a binding request is addressed to (RFC 8445, 7.2.2). It proves nothing.

    That is the first half of its user name.
    """
    if kind_of(datagram) != BINDING_REQUEST:
        return None
    position = 20
    while position + 4 <= len(datagram):
        attribute, length = _ATTRIBUTE.unpack_from(datagram, position)
        if attribute == _USERNAME:
            return datagram[position + 4 : position + 4 + length].partition(b":")[0].decode("ascii", "replace")
        position += 4 + length + (-length & 3)
    return None


def read_request(datagram: bytes, ufrag: str, remote_ufrag: str | None, password: str) -> BindingRequest | None:
    """Read a binding request.

    ``None`` unless it is addressed to ``ufrag`` and signed with ``password`` (RFC 8445, 7.3).

    With ``remote_ufrag`` ``None`` the sender may be anyone who knows the password.
    """
    if kind_of(datagram) != BINDING_REQUEST:
        return None
    username: bytes | None = None
    use_candidate = controlled = signed = False
    position, end = 20, len(datagram)
    while position + 4 <= end:
        attribute, length = _ATTRIBUTE.unpack_from(datagram, position)
        value = datagram[position + 4 : position + 4 + length]
        if len(value) != length:
            return None
        if attribute == _MESSAGE_INTEGRITY:
            if not hmac.compare_digest(value, _signature(datagram[:position], password)):
                return None
            signed = True
            break  # what follows is not authenticated (RFC 8489, 9)
        if attribute == _USERNAME:
            username = value
        elif attribute == _USE_CANDIDATE:
            use_candidate = True
        elif attribute == _ICE_CONTROLLED:
            controlled = True
        position += 4 + length + (-length & 3)
    if not signed or username is None:
        return None
    if remote_ufrag is None:
        if not username.startswith(f"{ufrag}:".encode()):
            return None
    elif username != f"{ufrag}:{remote_ufrag}".encode():
        return None
    return BindingRequest(datagram[8:20], use_candidate, controlled)


def read_reply(datagram: bytes) -> bytes | None:
    """Return the transaction of a response or an error, ``None`` when it is neither.

    The signature is not looked at: whoever knows a random transaction of ours got our request, which is all a reply says here.
    """
    return datagram[8:20] if kind_of(datagram) in (BINDING_RESPONSE, BINDING_ERROR) else None


def write_response(transaction: bytes, address: tuple[str, int], password: str) -> bytes:
    """Write the success response to a check that came from ``address``."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    packed = socket.inet_pton(family, address[0].partition("%")[0])
    size = len(packed)
    mask = int.from_bytes((_COOKIE_BYTES + transaction)[:size], "big")
    masked = (int.from_bytes(packed, "big") ^ mask).to_bytes(size, "big")
    mapped = struct.pack("!BBH", 0, 1 if size == 4 else 2, address[1] ^ (_COOKIE >> 16)) + masked
    return _sign(BINDING_RESPONSE, transaction, _attribute(_XOR_MAPPED_ADDRESS, mapped), password)


def write_role_conflict(transaction: bytes, password: str) -> bytes:
    """Write the error 487: a lite agent is always the controlled one (RFC 8445, 6.1.1)."""
    body = _attribute(_ERROR_CODE, struct.pack("!HBB", 0, 4, 87) + b"Role Conflict")
    return _sign(BINDING_ERROR, transaction, body, password)


def write_request(transaction: bytes, username: str, password: str, tie_breaker: int) -> bytes:
    """Write a check of our own.

    It keeps consent fresh and makes a silent but living peer answer (RFC 7675).
    """
    body = (
        _attribute(_USERNAME, username.encode())
        + _attribute(_PRIORITY, struct.pack("!I", (110 << 24) | (65535 << 8) | 255))
        + _attribute(_ICE_CONTROLLED, tie_breaker.to_bytes(8, "big"))
    )
    return _sign(BINDING_REQUEST, transaction, body, password)


def _attribute(attribute: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(attribute, len(value)) + value + bytes(-len(value) & 3)


def _signature(unsigned: bytes, password: str) -> bytes:
    # The length field must count the integrity attribute itself (RFC 8489, 14.5).
    header = unsigned[:2] + struct.pack("!H", len(unsigned) - 20 + 24)
    return hmac.digest(password.encode(), header + unsigned[4:], hashlib.sha1)


def _sign(kind: int, transaction: bytes, body: bytes, password: str) -> bytes:
    unsigned = _HEADER.pack(kind, len(body), _COOKIE, transaction) + body
    signed = body + _attribute(_MESSAGE_INTEGRITY, _signature(unsigned, password))
    covered = _HEADER.pack(kind, len(signed) + 8, _COOKIE, transaction) + signed
    return covered + _attribute(_FINGERPRINT, struct.pack("!I", zlib.crc32(covered) ^ _FINGERPRINT_XOR))
