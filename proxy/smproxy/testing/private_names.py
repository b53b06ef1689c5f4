"""Check that aiortc and aioice have the private names that the testing tools use."""

from __future__ import annotations

import functools

from aioice import Connection, ice
from aiortc import RTCConfiguration, RTCPeerConnection

from smproxy.testing.errors import StreamError

_CONNECTION = (
    "_protocols",
    "_local_candidates",
    "_local_candidates_start",
    "_local_candidates_end",
    "get_component_candidates",
)
_PROTOCOL = ("send_data", "send_stun", "datagram_received")
_SENDER = ("_send_keyframe", "_RTCRtpSender__packet_count", "_RTCRtpSender__octet_count")
_RECEIVER = (
    "_handle_rtp_packet",
    "_RTCRtpReceiver__decoder_error",
    "_RTCRtpReceiver__decoder_queue",
    "_RTCRtpReceiver__remote_streams",
    "_RTCRtpReceiver__rtx_ssrc",
)


def missing_names() -> list[str]:
    """Return the private names that are not there. Opens no socket; needs a running loop."""
    transceiver = RTCPeerConnection(RTCConfiguration(iceServers=[])).addTransceiver("video")
    wanted = (
        (Connection(ice_controlling=True), _CONNECTION),
        (ice.StunProtocol, _PROTOCOL),
        (transceiver.receiver.transport.transport, ("_connection",)),
        (transceiver.sender, _SENDER),
        (transceiver.receiver, _RECEIVER),
    )
    return [
        f"{(owner if isinstance(owner, type) else type(owner)).__name__}.{name}"
        for owner, names in wanted
        for name in names
        if not hasattr(owner, name)
    ]


@functools.cache
def require_private_names() -> None:
    """Check once in a process.

    Raises:
        StreamError: the installed aiortc or aioice is not one that the testing tools can work with.
    """
    if missing := missing_names():
        raise StreamError(
            f"the installed aiortc or aioice has no {', '.join(missing)}: "
            "install stream-manager-proxy with its dependencies into an environment of its own"
        )
