"""OvenMediaEngine's AdmissionWebhooks, as notices: no answer decides anything here."""

from __future__ import annotations

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import read_body, stream_of, whole, write
from smproxy.hooks.formats.cloudevents import rfc3339
from smproxy.signaling.payloads import Role


class _AdmissionClient(msgspec.Struct, omit_defaults=True):
    address: str
    port: int
    real_ip: str
    user_agent: str | None = None


class _AdmissionRequest(msgspec.Struct):
    direction: str
    protocol: str
    status: str
    url: str
    time: str


class _Admission(msgspec.Struct):
    client: _AdmissionClient
    request: _AdmissionRequest


class OvenMediaEngine:
    """AdmissionWebhooks: ``opening`` when a stream begins, ``closing`` when it ends.

    ``host`` stands in the URL. The client's port is not known here, and is 0.
    """

    name = "ome"
    content_type = "application/json"
    internal = False

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the request; ``None`` for what is neither a beginning nor an end of a stream."""
        if event.state not in ("peer_joined", "peer_leaved"):
            return None
        body = read_body(event.body)
        scope, stream = stream_of(event.context.stream, body.connection)
        address = event.context.remote_ip or ""
        scheme = "ws" if body.connection.transport == "websocket" else "http"
        return write(
            _Admission(
                _AdmissionClient(address, 0, address, whole(event.context.user_agent or "") or None),
                _AdmissionRequest(
                    direction="outgoing" if body.connection.role == Role.SUBSCRIBER else "incoming",
                    protocol="webrtc",
                    status="opening" if event.state == "peer_joined" else "closing",
                    url=f"{scheme}://{self._host}/{scope}/{stream}",
                    time=rfc3339(event.ts),
                ),
            )
        )
