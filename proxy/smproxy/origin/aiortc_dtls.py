"""DTLS on aiortc's transport (RFC 6347, RFC 8827).

It adds RSA peers, a quick retransmission, and failures with their alert.

Beside :mod:`aiortc_adapter` the only module that uses private names of aiortc. Its own handshake knows no RSA suite, waits a
second for a lost first flight, checks the peer's fingerprint when the peer believes itself connected, and keeps every reason
to itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import State, certificate_digest
from OpenSSL import SSL, crypto
from OpenSSL._util import lib

_log = logging.getLogger(__name__)

#: The suites that aiortc takes, and their like for servers with an RSA certificate, as GStreamer is one.
CIPHERS = ":".join(
    f"ECDHE-{key}-{suite}"
    for suite in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
    for key in ("ECDSA", "RSA")
)
#: OpenSSL's own curves, and P-224 where it still has that (before 4.0): a client's certificate must be on one of them, and
#: GnuTLS makes those of FFmpeg's muxer in PyAV there.
CURVES = b"X25519:P-256:X448:P-384:P-521:P-224"
#: Seconds after which a flight that nobody answered is sent again; then OpenSSL's own timer goes on, 1 s and doubled. FFmpeg
#: offers ``setup:passive`` and misses what comes before it has read our answer to its STUN check.
RESEND_AFTER = (0.15, 0.3)

#: Hash functions of fingerprints by their names in SDP (RFC 8122, 5).
_DIGESTS = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}
_RECORD_HEADER = 13
_ALERT = 21
#: Alerts by their number (RFC 8446, 6; RFC 5246, 7.2).
_ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    116: "certificate_required",
}


class Identity(RTCCertificate):
    """One certificate and TLS context for all peers.

    A context costs 414 µs and a certificate 157 µs of each handshake.
    """

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_cipher_list(CIPHERS.encode())
            lib.SSL_CTX_set1_curves_list(context._context, CURVES)  # all of them or none
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
            # A resumed session would not show its certificate.
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            self._context = context
        return self._context

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 fingerprint as SDP has it."""
        return certificate_digest(self._cert, "sha-256")


def _verify(connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _ok: int) -> bool:
    transport = connection.get_app_data()
    return depth > 0 or (isinstance(transport, DtlsTransport) and transport.verify(certificate))


class DtlsTransport(RTCDtlsTransport):
    """aiortc's DTLS transport with a handshake of its own.

    ``failure`` is the reason why it failed, as a text for the client.
    """

    def __init__(self, transport: Any, certificates: list[RTCCertificate]) -> None:
        super().__init__(transport, certificates)
        self.failure: str | None = None
        self._wanted: list[RTCDtlsFingerprint] = []
        self._verified = self._mismatch = False

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:
        """Shake hands with the peer that has one of these fingerprints."""
        self._wanted = remoteParameters.fingerprints
        await super().start(remoteParameters)
        if self._state == State.FAILED and self.failure is None:
            self.failure = "the client takes none of our SRTP protection profiles"

    def verify(self, certificate: crypto.X509) -> bool:
        """Return whether the certificate is one that the SDP announced (RFC 8122, 5)."""
        shown = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        self._verified = any(
            each.value.upper() == digest(shown).digest().hex(":").upper()
            for each in self._wanted
            if (digest := _DIGESTS.get(each.algorithm.lower())) is not None
        )
        self._mismatch = not self._verified
        return self._verified

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        if not self._verified:
            self._fail("the client showed no certificate")

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = reason
        self._set_state(State.FAILED)

    def let_go(self) -> None:
        """Drop all that refers back to this; it is stopped."""
        self.remove_all_listeners()
        ssl: Any = self._ssl
        if ssl is not None:
            ssl.set_app_data(None)

    async def _do_handshake(self) -> None:
        ssl: Any = self._ssl
        ssl.set_app_data(self)
        received = flight = b""
        waits: Iterator[float] = iter(())
        try:
            while not self.encrypted:
                try:
                    ssl.do_handshake()
                    self.encrypted = True
                    await self._flush()
                except SSL.WantReadError:
                    if sent := await self._flush():
                        flight, waits = sent, iter(RESEND_AFTER)
                    received = await self._answer(flight, waits)
                    ssl.bio_write(received)
        except SSL.Error as exc:
            self._fail(self._describe(exc, received, await self._flush()))
        except ConnectionError:
            self._fail("the connection was closed in the middle of the handshake")

    async def _answer(self, flight: bytes, waits: Iterator[float]) -> bytes:
        """Return the next datagram of the peer; until it comes, send again what is not answered.

        The same datagram again is no new one to a peer that has the first: its record numbers are the same.
        """
        ssl: Any = self._ssl
        while True:
            early = next(waits, None)
            due = ssl.DTLSv1_get_timeout()
            try:
                async with asyncio.timeout(early if early is not None and (due is None or early < due) else due):
                    data = await self.transport._recv()
                    if data and 19 < data[0] < 64:
                        return bytes(data)
            except TimeoutError:
                if early is not None and flight:
                    await self.transport._send(flight)
                else:
                    ssl.DTLSv1_handle_timeout()
                    await self._flush()

    async def _flush(self) -> bytes:
        """Send what OpenSSL wrote, a flight at most, and return it."""
        ssl: Any = self._ssl
        try:
            flight = bytes(ssl.bio_read(1500))
        except SSL.Error:
            return b""
        await self.transport._send(flight)
        return flight

    def _describe(self, error: SSL.Error, received: bytes, sent: bytes) -> str:
        if self._mismatch:
            return "the client's certificate is not the one that its SDP announced (a=fingerprint)"
        if (alert := read_alert(received)) is not None:
            return f"the client sent the alert {alert}"
        reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reason = str(reasons[-1][-1]) if reasons else type(error).__name__
        if "alert" in reason:  # one that was encrypted; OpenSSL names it
            return f"the client sent an alert: {reason}"
        if reason == "wrong curve":
            reason = "the client's certificate is on a curve that OpenSSL does not take: give it one on P-256"
        alert = read_alert(sent)
        return reason if alert is None else f"{reason}; the client was sent the alert {alert}"


def read_alert(datagram: bytes) -> str | None:
    """Return the alert in a datagram, as ``name (number)``.

    ``None`` when there is none that can be read.
    """
    at = 0
    while at + _RECORD_HEADER <= len(datagram):
        length = int.from_bytes(datagram[at + 11 : at + 13], "big")
        record = datagram[at + 13 : at + 13 + length]
        epoch = int.from_bytes(datagram[at + 3 : at + 5], "big")
        if datagram[at] == _ALERT and epoch == 0 and len(record) == 2:
            return f"{_ALERTS.get(record[1], 'unknown')} ({record[1]})"
        at += _RECORD_HEADER + length
    return None
