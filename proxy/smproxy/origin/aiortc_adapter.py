"""The module that knows aiortc, private names included.

Written against aiortc 1.16; each trick says why.

aiortc gives DTLS (see :mod:`aiortc_dtls`), the SRTP keys and SCTP. Its ICE, its peer connection and its receivers are not
used: they decode every frame and build what an origin never needs. When :func:`self_test` finds that a private name is not
what it was, the origin does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable

import pylibsrtp
from aiortc import (
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from smproxy.log_fields import About
from smproxy.origin.aiortc_dtls import DtlsTransport, Identity
from smproxy.origin.ice import IceLite
from smproxy.origin.sdp_section import Section
from smproxy.origin.srtp import Seal, opener, sealer

_log = logging.getLogger(__name__)

#: Raised by ``unprotect`` for a datagram that is not the peer's.
NotAuthentic = (pylibsrtp.Error, ValueError)

#: What one peer may make SCTP hold before it is cut off; bytes and counts.
MAX_SCTP_BYTES = 2 << 20
MAX_SCTP_STREAMS = 64
MAX_CHANNEL_BUFFER = 1 << 20


def self_test() -> str | None:
    """Check that aiortc is as this module needs it; return what is not, or ``None``.

    Its version is checked before it is imported, by :mod:`unfit_library`. Starts no thread and no socket.
    """
    try:
        identity = Identity.generateCertificate()
        dtls = DtlsTransport(None, [identity])
        if identity._create_ssl_context(SRTP_PROFILES) is not identity._create_ssl_context(SRTP_PROFILES):
            return "the TLS context cannot be shared"
        for name in ("_rx_srtp", "_tx_srtp", "_task", "_transport", "_data_receiver", "_ssl", "_state", "encrypted"):
            if not hasattr(dtls, name):
                return f"RTCDtlsTransport has no {name}"
        if not inspect.iscoroutinefunction(getattr(RTCSctpTransport, "_handle_data", None)):
            return "RTCSctpTransport has no _handle_data"
        used = _names_used(RTCDtlsTransport)
        if not {"_recv", "_send"} <= used:
            return "RTCDtlsTransport does not use _recv and _send of its ICE transport"
        if not {"_do_handshake", "_validate_peer_identity"} <= used:
            return "RTCDtlsTransport does not shake hands with _do_handshake and _validate_peer_identity"
        if not {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"} <= set(
            SSL.Connection(identity._create_ssl_context(SRTP_PROFILES)).get_cipher_list()
        ):
            return "OpenSSL has no ECDHE suites for ECDSA and RSA"
        packet = bytes.fromhex("80600001000000010000000b") + b"payload"
        policy = pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        (sealed,) = sealer(pylibsrtp.Session(policy))([packet])
        inbound = pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND)
        unseal = opener(pylibsrtp.Session(inbound))
        if unseal(sealed) != packet:
            return "SRTP does not restore a packet"
        with contextlib.suppress(pylibsrtp.Error):
            unseal(sealed)
            return "SRTP takes a packet twice"
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    return None


def _names_used(cls: type) -> set[str]:
    """Return the names of all attributes and functions that a class's methods use."""
    methods = (value for value in vars(cls).values() if inspect.isfunction(value))
    return {name for method in methods for name in method.__code__.co_names}


class _Sctp(RTCSctpTransport):
    """SCTP that ends a peer which sends nonsense or too much.

    aiortc would log a traceback or keep it all.
    """

    #: The session, for the log.
    log_extra: About | None = None

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        except ConnectionError:
            raise
        except Exception as exc:
            _log.info("data channel: ended by a malformed packet (%s)", type(exc).__name__, extra=self.log_extra)
            raise ConnectionError from None
        held = len(self._inbound_streams)
        if self._advertised_rwnd < -MAX_SCTP_BYTES or held > MAX_SCTP_STREAMS or len(self._sack_misordered) > 4096:
            _log.info("data channel: ended, it sent more than its window", extra=self.log_extra)
            raise ConnectionError


class Link:
    """DTLS, SRTP and SCTP of one peer on an :class:`IceLite`."""

    def __init__(self, ice: IceLite, identity: Identity, role: str, on_closed: Callable[[], None]) -> None:
        self._ice = ice
        self._on_closed = on_closed
        # IceLite has what RTCDtlsTransport uses of an ICE transport: role, _recv and _send.
        self._dtls = DtlsTransport(ice, [identity])
        self._dtls._set_role(role)
        self._dtls.on("statechange", self._changed)
        self._sctp: _Sctp | None = None
        self._stopping = False

    async def start(self, fingerprints: list[tuple[str, str]]) -> str | None:
        """Shake hands; return why that failed, ``None`` when it did not."""
        wanted = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in fingerprints]
        await self._dtls.start(RTCDtlsParameters(fingerprints=wanted))
        return self._dtls.failure

    def _changed(self) -> None:
        if self._dtls.state == "closed" and not self._stopping:
            self._on_closed()

    # media without decoding -------------------------------------------------------------------------------------------

    def unprotect(self) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
        """Return what opens SRTP and SRTCP; both raise ``NotAuthentic``.

        The session is private in aiortc.
        """
        session, tap = self._dtls._rx_srtp, self._ice.tap
        if tap is not None:
            return tap.opening(opener(session)), tap.opening(session.unprotect_rtcp)
        return opener(session), session.unprotect_rtcp

    def protect(self) -> Seal:
        """Return what seals SRTP; aiortc's way would be a coroutine for each packet."""
        protect = sealer(self._dtls._tx_srtp)
        return protect if self._ice.tap is None else self._ice.tap.sealing(protect)

    def send_rtcp(self, packet: bytes) -> None:
        """Send RTCP at once; aiortc's way would be a coroutine for one ``sendto``."""
        if (tap := self._ice.tap) is not None:
            tap.sent(packet, tap.ours, tap.theirs)
        self._ice.send(self._dtls._tx_srtp.protect_rtcp(packet))

    # data channels ----------------------------------------------------------------------------------------------------

    @property
    def flushed(self) -> bool:
        """Whether the client has acknowledged all that was sent on its data channels.

        The queues are private in aiortc.
        """
        queues = ("_data_channel_queue", "_outbound_queue", "_sent_queue")
        return self._sctp is None or not any(getattr(self._sctp, name, ()) for name in queues)

    async def open_data(
        self, section: Section, on_channel: Callable[[RTCDataChannel], None], log_extra: About | None = None
    ) -> None:
        """Start SCTP; ``on_channel`` gets each channel when it is open.

        ``log_extra`` is the session.
        """
        self._sctp = _Sctp(self._dtls)
        self._sctp.log_extra = log_extra
        self._sctp.on("datachannel", on_channel)
        size = section.max_message_size
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=size), section.sctp_port)

    # the end ----------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Close the data channel and DTLS, and end all tasks."""
        self._stopping = True
        pump = self._dtls._task
        if self._sctp is not None:
            with contextlib.suppress(ConnectionError):
                await self._sctp.stop()
            self._sctp.remove_all_listeners()
        await self._dtls.stop()
        if pump is not None:
            # RTCDtlsTransport.stop cancels its task but does not wait for it.
            if not pump.done():
                await asyncio.wait((pump,))
            if not pump.cancelled():
                pump.exception()  # aiortc has logged it
        self._dtls.let_go()
        self._on_closed = _nothing


def _nothing() -> None:
    pass
