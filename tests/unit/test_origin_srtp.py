"""SRTP with libsrtp called straight: the same packets as pylibsrtp's own calls make, and the same refusals."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pylibsrtp
import pytest
from smproxy.origin.aiortc_adapter import NotAuthentic
from smproxy.origin.srtp import opener, sealer

KEY = bytes(range(30))


def session(direction: int, key: bytes = KEY) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction))


def outbound(key: bytes = KEY) -> pylibsrtp.Session:
    return session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND, key)


def inbound() -> pylibsrtp.Session:
    return session(pylibsrtp.Policy.SSRC_ANY_INBOUND)


def sealing(srtp: pylibsrtp.Session) -> Callable[[bytes], bytes]:
    """Return what seals one packet."""
    seal = sealer(srtp)
    return lambda packet: seal([packet])[0]


def rtp(sequence: int, size: int = 100) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, sequence * 3000, 7) + bytes([sequence % 256]) * size


def test_packets_are_those_of_pylibsrtp() -> None:
    """What is sealed is the same to the byte, and each opens what the other seals, whatever its size."""
    seal, theirs = sealing(outbound()), outbound()
    unseal, their_unseal = opener(inbound()), inbound()
    for sequence, size in enumerate((0, 1, 100, 1100, 1300, 20)):
        packet = rtp(sequence, size)
        sealed = seal(packet)
        assert sealed == theirs.protect(packet)
        assert unseal(sealed) == packet == their_unseal.unprotect(sealed)


def test_what_is_not_the_peers_is_refused_and_changes_nothing() -> None:
    """A forged packet, a copy, one with other keys, and rubbish are not authentic; the next real one is."""
    seal, unseal = sealing(outbound()), opener(inbound())
    first, second = seal(rtp(1)), seal(rtp(2))
    assert unseal(first) == rtp(1)
    forged = second[:-1] + bytes([second[-1] ^ 1])
    for bad in (first, forged, sealing(outbound(bytes(30)))(rtp(3)), b"", b"\x80" * 12, bytes(1500), bytes(5000)):
        with pytest.raises(NotAuthentic):
            unseal(bad)
    assert unseal(second) == rtp(2)


def test_a_packet_that_has_no_room_for_its_tag_is_refused() -> None:
    """Nothing is written beyond the buffer: what does not fit with its tag is no packet."""
    seal = sealing(outbound())
    with pytest.raises(ValueError, match="too long"):
        seal(rtp(1, 1400))
    assert opener(inbound())(seal(rtp(2))) == rtp(2)


def test_a_session_lives_as_long_as_what_uses_it() -> None:
    """The keys are not freed while packets can still be sealed and opened."""
    seal, unseal = sealing(outbound()), opener(inbound())
    assert [unseal(seal(rtp(sequence))) for sequence in range(50)] == [rtp(sequence) for sequence in range(50)]


def test_packets_that_are_sealed_together_are_those_that_are_sealed_one_by_one() -> None:
    """In their order, each to the byte; of packets of which one is refused none is returned."""
    seal, theirs = sealer(outbound()), outbound()
    packets = [rtp(sequence, size) for sequence, size in enumerate((0, 1100, 20, 1300))]
    assert seal(packets) == [theirs.protect(each) for each in packets]
    assert seal(()) == []
    with pytest.raises(ValueError, match="too long"):
        seal([rtp(4), rtp(5, 1400)])
