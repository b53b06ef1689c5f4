"""STUN for ICE lite, checked against aioice as the other side."""

from __future__ import annotations

import ipaddress

import pytest
from aioice import stun as reference
from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin import stun

LOCAL, REMOTE, PASSWORD = "abcdefgh", "wxyz", "p" * 24


def check(*, password: str = PASSWORD, username: str = f"{LOCAL}:{REMOTE}", **attributes: object) -> bytes:
    """Write a connectivity check as aioice does."""
    request = reference.Message(reference.Method.BINDING, reference.Class.REQUEST)
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = 1
    request.attributes.update({key.replace("_", "-"): value for key, value in attributes.items()})
    request.add_message_integrity(password.encode())
    return bytes(request)


def test_a_signed_check_is_read() -> None:
    """A check of aioice is understood with its nomination and its role."""
    request = stun.read_request(check(ICE_CONTROLLING=7, USE_CANDIDATE=None), LOCAL, REMOTE, PASSWORD)
    assert request is not None
    assert request.use_candidate
    assert not request.controlled
    plain = stun.read_request(check(ICE_CONTROLLED=7), LOCAL, REMOTE, PASSWORD)
    assert plain is not None
    assert plain.controlled
    assert not plain.use_candidate


@pytest.mark.parametrize(
    "datagram",
    [
        check(password="q" * 24),
        check(username="other:wxyz"),
        check(username=f"{LOCAL}:else"),
        check()[:-1],
        check()[:20],
        bytes(reference.Message(reference.Method.BINDING, reference.Class.REQUEST)),
        b"",
    ],
    ids=["password", "name", "half a name", "cut", "header", "unsigned", "empty"],
)
def test_what_is_not_signed_for_us_is_nothing(datagram: bytes) -> None:
    """A wrong password, a wrong name, a cut message and an unsigned one are not requests."""
    assert stun.read_request(datagram, LOCAL, REMOTE, PASSWORD) is None


def test_attributes_after_the_signature_do_not_count() -> None:
    """USE-CANDIDATE behind MESSAGE-INTEGRITY is not authenticated and is not believed."""
    datagram = check(ICE_CONTROLLING=7)
    forged = bytearray(datagram[:-8] + bytes.fromhex("00250000"))
    forged[2:4] = (len(forged) - 20).to_bytes(2, "big")
    request = stun.read_request(bytes(forged), LOCAL, REMOTE, PASSWORD)
    assert request is not None
    assert not request.use_candidate


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_responses_are_valid_for_aioice(host: str) -> None:
    """aioice verifies the signature and the fingerprint and reads the mapped address."""
    message = reference.parse_message(stun.write_response(b"t" * 12, (host, 5000), PASSWORD))
    assert message.check_message_integrity(PASSWORD.encode())
    mapped = message.attributes["XOR-MAPPED-ADDRESS"]
    assert (ipaddress.ip_address(mapped[0]), mapped[1]) == (ipaddress.ip_address(host), 5000)


def test_probe_and_role_conflict_are_valid_for_aioice() -> None:
    """The origin's own check and its error 487 are signed and readable."""
    probe = reference.parse_message(stun.write_request(b"t" * 12, "a:b", PASSWORD, 5))
    assert probe.check_message_integrity(PASSWORD.encode())
    assert probe.attributes["ICE-CONTROLLED"] == 5
    conflict = reference.parse_message(stun.write_role_conflict(b"t" * 12, PASSWORD))
    assert conflict.error_code == 487
    assert conflict.check_message_integrity(PASSWORD.encode())


@given(st.binary(max_size=300))
def test_noise_never_raises(noise: bytes) -> None:
    """Any bytes, and any bytes behind a real header, are answered with None."""
    assert stun.read_request(noise, LOCAL, REMOTE, PASSWORD) is None
    header = b"\x00\x01" + len(noise).to_bytes(2, "big") + bytes.fromhex("2112a442") + bytes(12)
    assert stun.read_request(header + noise, LOCAL, REMOTE, PASSWORD) is None
