"""The DTLS handshake with every kind of peer, on a network in memory; the other side is stock aiortc or OpenSSL."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL
from smproxy.origin.aiortc_dtls import DtlsTransport, Identity, read_alert

from tests.helpers import scaled

IDENTITY = Identity.generateCertificate()
FATAL_HANDSHAKE_FAILURE = bytes.fromhex("15fefd00000000000000000002") + b"\x02\x28"


class Network:
    """One end of a wire in memory, as an ICE transport is to DTLS; ``lost`` drops the first datagrams that are sent."""

    role = "controlled"

    def __init__(self, lost: int = 0) -> None:
        self.other: Network | None = None
        self.sent: list[bytes] = []
        self._lost = lost
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def _send(self, data: bytes) -> None:
        self.sent.append(data)
        if len(self.sent) > self._lost and self.other is not None:
            self.other._waiting.put_nowait(data)

    def put(self, data: bytes | None) -> None:
        self._waiting.put_nowait(data)

    async def _recv(self) -> bytes:
        data = await self._waiting.get()
        if data is None:
            raise ConnectionError
        return data


class Peer(RTCCertificate):
    """A certificate of any kind, with the cipher suites that go with it."""

    suites = b""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> Any:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(self.suites or b"ECDHE-RSA-AES128-GCM-SHA256")
        return context


class Stock(RTCDtlsTransport):  # type: ignore[misc]
    """aiortc's transport; a flight of more than a datagram goes record by record, where aiortc cuts it anywhere."""

    async def _write_ssl(self) -> None:
        flight = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                flight += self._ssl.bio_read(16_384)
        while flight:
            length = 13 + int.from_bytes(flight[11:13], "big")
            await self.transport._send(flight[:length])
            flight = flight[length:]


def certificate(kind: str) -> Peer:
    key: Any = ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else rsa.generate_private_key(65537, int(kind))
    made = Peer(key, generate_certificate(key))
    made.suites = b"ECDHE-ECDSA-AES128-GCM-SHA256" if kind == "EC" else b"ECDHE-RSA-AES128-GCM-SHA256"
    return made


def wire(*, lost: int = 0) -> tuple[Network, Network]:
    ours, theirs = Network(lost), Network()
    ours.other, theirs.other = theirs, ours
    return ours, theirs


def parameters(of: RTCCertificate) -> RTCDtlsParameters:
    return RTCDtlsParameters(fingerprints=of.getFingerprints()[:1])


async def shake(
    role: str, theirs: Peer, *, announced: RTCCertificate | None = None, lost: int = 0
) -> tuple[Any, Any, Network]:
    """Let our transport in this role and a stock one shake hands; return both, and our network."""
    near, far = wire(lost=lost)
    our, their = DtlsTransport(near, [IDENTITY]), Stock(far, [theirs])
    our._set_role(role)
    their._set_role("server" if role == "client" else "client")
    starting = asyncio.create_task(their.start(parameters(IDENTITY)))
    async with asyncio.timeout(scaled(5)):
        await our.start(parameters(announced or theirs))
        if our.failure is not None:
            far.put(None)
        await starting
    return our, their, near


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("kind", ["EC", "2048", "4096"])
async def test_every_certificate_connects(role: str, kind: str) -> None:
    """M5: peers with RSA and with EC certificates connect in both roles, and both sides have the same keys."""
    theirs = certificate(kind)
    if role == "server":
        theirs.suites = b"ECDHE-ECDSA-AES128-GCM-SHA256"  # it must fit the certificate of the server
    our, their, _ = await shake(role, theirs)
    assert our.failure is None
    assert our.state == their.state == "connected"
    packet = bytes.fromhex("80600001000000010000000b") + b"payload"
    assert their._rx_srtp.unprotect(our._tx_srtp.protect(packet)) == packet
    for each in (our, their):
        await each.stop()


async def test_a_first_flight_that_was_missed_is_sent_again_as_it_was() -> None:
    """The ClientHello comes twice before OpenSSL's own timer, the same bytes, and then the handshake goes on."""
    our, their, network = await shake("client", certificate("2048"), lost=1)
    assert our.state == their.state == "connected"
    assert network.sent[1] == network.sent[0]
    for each in (our, their):
        await each.stop()


async def test_a_flight_that_nobody_answers_is_sent_on_by_the_timer_of_openssl() -> None:
    """After the quick repetitions new records come, with new numbers."""
    near, _ = wire(lost=100)
    our = DtlsTransport(near, [IDENTITY])
    our._set_role("client")
    starting = asyncio.create_task(our.start(parameters(IDENTITY)))
    async with asyncio.timeout(scaled(10)):
        while len(near.sent) < 4:
            await asyncio.wait((starting,), timeout=0.01)
    first, second, third, fourth = near.sent[:4]
    assert first == second == third
    assert fourth != first
    near.put(None)
    await starting
    assert our.failure == "the connection was closed in the middle of the handshake"


async def test_an_alert_is_named() -> None:
    """M5: a fatal alert of the client ends the handshake at once, and is told by name and number."""
    near, _ = wire()
    our = DtlsTransport(near, [IDENTITY])
    our._set_role("client")
    near.put(FATAL_HANDSHAKE_FAILURE)
    async with asyncio.timeout(scaled(5)):
        await our.start(parameters(IDENTITY))
    assert our.state == "failed"
    assert our.failure == "the client sent the alert handshake_failure (40)"


async def test_no_common_suite_is_named_and_told_to_the_client() -> None:
    """M5: without a common suite the client gets our alert, and the reason names it."""
    theirs = certificate("2048")
    theirs.suites = b"DHE-RSA-AES128-GCM-SHA256"
    our, _, network = await shake("server", theirs)
    assert our.failure == "no shared cipher; the client was sent the alert handshake_failure (40)"
    assert read_alert(network.sent[-1]) == "handshake_failure (40)"


@pytest.mark.parametrize("role", ["client", "server"])
async def test_a_certificate_that_was_not_announced_is_refused_before_there_are_keys(role: str) -> None:
    """The wrong certificate is refused within the handshake: the client gets an alert, and the reason names the SDP's line."""
    theirs = certificate("EC")
    our, _, network = await shake(role, theirs, announced=certificate("EC"))
    assert our.failure == "the client's certificate is not the one that its SDP announced (a=fingerprint)"
    assert read_alert(network.sent[-1]) is not None
    assert our._rx_srtp is None


async def test_one_of_several_fingerprints_is_enough() -> None:
    """An SDP may announce two certificates, of which one is shown (RFC 8122, 5)."""
    theirs = certificate("EC")
    near, far = wire()
    our, their = DtlsTransport(near, [IDENTITY]), Stock(far, [theirs])
    our._set_role("client")
    their._set_role("server")
    other = RTCDtlsFingerprint("sha-256", ":".join(["00"] * 32))
    async with asyncio.timeout(scaled(5)):
        await asyncio.gather(
            our.start(RTCDtlsParameters([other, *theirs.getFingerprints()[:1]])), their.start(parameters(IDENTITY))
        )
    assert our.state == "connected"
    for each in (our, their):
        await each.stop()


@pytest.mark.parametrize(
    ("datagram", "alert"),
    [
        (FATAL_HANDSHAKE_FAILURE, "handshake_failure (40)"),
        (bytes.fromhex("16fefd00000000000000000001ff") + FATAL_HANDSHAKE_FAILURE, "handshake_failure (40)"),
        (FATAL_HANDSHAKE_FAILURE[:-1] + b"\xfe", "unknown (254)"),
        (bytes.fromhex("15fefd00010000000000000002") + b"\x02\x28", None),
        (FATAL_HANDSHAKE_FAILURE[:-1], None),
        (b"", None),
    ],
    ids=["alone", "behind a record", "of a number without name", "encrypted", "cut short", "empty"],
)
def test_alerts_are_read(datagram: bytes, alert: str | None) -> None:
    """An alert is found wherever it stands in a datagram; one that is encrypted or cut is none."""
    assert read_alert(datagram) == alert
