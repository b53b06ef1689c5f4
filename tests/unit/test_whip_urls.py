"""Every shape of a WHIP or WHEP URL is understood, and leads back to itself."""

from __future__ import annotations

import pytest
from smproxy.signaling.whip_urls import Endpoint, WhipProtocol, WhipTarget, read_endpoint, read_session

ID = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("path", "protocol", "scope", "name"),
    [
        ("/live/whip/endpoint/cam", "whip", "live", "cam"),
        ("/live/whep/endpoint/cam/", "whep", "live", "cam"),
        ("/live/room/sub/whip/endpoint/cam", "whip", "live/room/sub", "cam"),
        ("/live/whip/endpoint/room/cam", "whip", "live/room", "cam"),
        ("/live/whip/endpoint/a%20b%2Fc", "whip", "live", "a b/c"),
        ("/streammanager/whip/endpoint/cam", "whip", None, "cam"),
        ("/streammanager/live/whip/endpoint/cam", "whip", "live", "cam"),
        ("/as/v1/proxy/whep/live/cam", "whep", "live", "cam"),
        ("/as/v1/proxy/whip/live/room/cam", "whip", "live/room", "cam"),
        ("/cam/whip", "whip", None, "cam"),
        ("/live/cam/whep", "whep", "live", "cam"),
        ("/api/whip", "whip", None, None),
        ("/api/whep", "whep", None, None),
        ("/rtc/v1/whip/", "whip", None, None),
    ],
)
def test_shapes(path: str, protocol: str, scope: str | None, name: str | None) -> None:
    """The vendor's paths and those of other servers name the same protocol, scope and stream."""
    endpoint = read_endpoint(path)
    assert endpoint is not None
    assert (endpoint.protocol, endpoint.scope, endpoint.name) == (protocol, scope, name)


@pytest.mark.parametrize("path", ["/", "/whip", "/live/whip/endpoint/", "/live/rtmp/endpoint/cam", "/live/cam/whip/x"])
def test_no_endpoint(path: str) -> None:
    """What has none of the shapes is no endpoint."""
    assert read_endpoint(path) is None


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("/live/whip/endpoint/cam", f"/live/whip/resource/cam/{ID}"),
        ("/live/whip/endpoint/room1/cam", f"/live/whip/resource/room1/cam/{ID}"),
        ("/live/whep/endpoint/events/a/cam", f"/live/whep/resource/events/a/cam/{ID}"),
        ("/as/v1/proxy/whip/live/cam", f"/as/v1/proxy/whip/live/cam/resource/{ID}"),
        ("/cam/whip", f"/cam/whip/resource/{ID}"),
        ("/api/whip", f"/api/whip/resource/{ID}"),
        ("/rtc/v1/whip/", f"/rtc/v1/whip/resource/{ID}"),
        ("/endpoint/room/cam/whip", f"/endpoint/room/cam/whip/resource/{ID}"),
        ("/live/endpoint/whip/endpoint/cam", f"/live/endpoint/whip/resource/cam/{ID}"),
    ],
)
@pytest.mark.parametrize("tail", ["", "/events", "/events/1", f"/events/{ID}"])
def test_sessions(path: str, session: str, tail: str) -> None:
    """The URL of a session is below that of its endpoint, is read again, and is no endpoint itself."""
    endpoint = read_endpoint(path)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.session_path(ID) == session
    assert read_session(session + tail) == (ID, tail)
    assert read_endpoint(session) is None


def test_origin_path() -> None:
    """On the origin there is one shape, with every byte of the name in its place."""
    assert WhipTarget(WhipProtocol.WHIP, "live/room 1", "a/b?c").path == "/live/room%201/whip/endpoint/a%2Fb%3Fc"
