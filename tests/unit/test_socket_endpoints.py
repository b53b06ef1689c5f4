"""The path of a signaling WebSocket says what it says, and the query the rest."""

from __future__ import annotations

import pytest
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Role
from smproxy.signaling.socket_endpoints import read_socket_endpoint
from yarl import URL


def read(target: str) -> tuple[ConnectionParams, Role | None]:
    """Read a request target as admission does."""
    url = URL(target, encoded=True)
    endpoint = read_socket_endpoint(url.raw_path)
    assert endpoint is not None
    query = endpoint.apply(url.raw_query_string)
    return ConnectionParams.from_query(query, customer_scope_required=False), endpoint.role


@pytest.mark.parametrize(
    ("target", "scope", "id", "host"),
    [
        ("/streammanager?id=s&app=vod&host=h", "vod", "s", "h"),
        ("/streammanager/?id=s&app=live&context=room1", "live/room1", "s", None),
        ("/live?id=s", "live", "s", None),
        ("/live/?id=s&app=vod&context=x&host=203.0.113.9", "live", "s", None),
        ("/live/room%201/?ID=s", "live/room 1", "s", None),
        ("/as/v1/proxy/ws/publish/live/s?id=other&nodeGroup=default", "live", "s", None),
        ("/as/v1/proxy/ws/publish/live/room1/a%26b?host=h&app=vod", "live/room1", "a&b", "h"),
        ("/as/v1/proxy/ws/subscribe/live/s?id=viewer-1", "live", "viewer-1", None),
    ],
)
def test_path_and_query(target: str, scope: str, id: str, host: str | None) -> None:
    """Scope and publisher's name come from a path that has them; a standalone server takes no ``host``."""
    params, _ = read(target)
    assert (params.scope, params.id, params.host) == (scope, id, host)


def test_the_proxy_of_2_0_knows_the_role() -> None:
    """The path of Stream Manager 2.0 says who publishes and who watches, whatever the id looks like."""
    assert read("/as/v1/proxy/ws/publish/live/subscriber-1?id=x")[1] is Role.PUBLISHER
    assert read("/as/v1/proxy/ws/subscribe/live/s?id=x")[1] is Role.SUBSCRIBER
    assert read("/live?id=x")[1] is None


def test_what_the_origin_gets() -> None:
    """Parameters that are nobody's business pass on as they came, and the scope is the path there."""
    params, _ = read("/live/room1?id=s&token=a%2Bb&app=other")
    assert params.origin_target == "/live/room1/?id=s&token=a%2Bb"


@pytest.mark.parametrize(
    "path",
    [
        "/", "//", "/live/webhook", "/live/room1/webhook/", "/api/v1/feed", "/as/v1/streams", "/streammanager/api/4.0/x",
        "/live/../x", "/live//x", "/as/v1/proxy/ws/publish/live", "/as/v1/proxy/ws/watch/live/s",
    ],
)  # fmt: skip
def test_no_signaling(path: str) -> None:
    """What belongs to the webhook socket, to the REST interfaces or is no scope path is no signaling socket."""
    assert read_socket_endpoint(path) is None
