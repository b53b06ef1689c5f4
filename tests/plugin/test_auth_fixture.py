"""The fixture ``auth``: a back end that the stream manager of the test asks."""

from __future__ import annotations

from typing import Any

import pytest
from smproxy.testing import PublishRejected

from tests.helpers import scaled


def test_deny(publisher: Any, auth: Any, hooks: Any) -> None:
    """Who is denied is refused with the reason, everybody else publishes, and the calls are there to look at."""
    auth.deny("ann")
    with pytest.raises(PublishRejected):
        publisher("cam", username="ann", password="pw").publish()
    hooks.expect("connect_error", error=3, message="the back end refused the credentials", timeout=scaled(10))
    with publisher("cam", username="bob", password="pw"):
        hooks.expect("peer_joined", id="cam", timeout=scaled(10))
    auth.wait_for_count(3, scaled(10))
    assert [(call.kind, call.username, call.stream) for call in auth.calls] == [
        ("validate", "ann", "cam"),
        ("validate", "bob", "cam"),
        ("invalidate", "bob", "cam"),
    ]


async def test_answers(publisher: Any, auth: Any, hooks: Any) -> None:
    """Any status and body can be answered, later too."""
    auth.answer(status=500)
    auth.delay(0.1)
    with pytest.raises(PublishRejected):
        await publisher("cam", username="ann", password="pw").publish()
    await hooks.expect("connect_error", message="the back end answered 500", timeout=scaled(10))


def test_without_it(publisher: Any, hooks: Any) -> None:
    """A test that does not name it has no authentication."""
    with publisher("cam"):
        hooks.expect("peer_joined", timeout=scaled(10))


@pytest.mark.stream_manager(auth_format="extended")
def test_grants(publisher: Any, auth: Any, hooks: Any) -> None:
    """What the answer grants is that of ``allow()``, and a call has what the extended format asks with."""
    auth.allow(name="cam-x", meta={"room": "A"})
    with publisher("cam", username="ann", password="pw"):
        joined = hooks.expect("peer_joined", id="cam-x", timeout=scaled(10))
    assert joined["connection"]["meta"] == {"room": "A"}
    assert (auth.calls[0].stream, auth.calls[0].body["action"]) == ("cam", "publish")
