"""A publisher goes through the proxy to the origin, and its hooks tell its life, whatever way it ends.

These tests use what users of the package have, the pytest plugin, and nothing else.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from smproxy.embedded import EmbeddedSimulator
from smproxy.testing import PublishRejected, SyncHooks, SyncPublisher, SyncWebhookReceiver

from tests.helpers import scaled

MakePublisher = Callable[..., SyncPublisher]

T = scaled(10)

TRACKS = [{"state": "remote_track_started", "track": track} for track in ("audio_main", "video_main")]
ENDED = [{"state": "remote_track_ended", "track": track} for track in ("audio_main", "video_main")]


def has_media(hooks: SyncHooks, id: str = "s1") -> None:
    """Wait until audio and video have started."""
    for track in TRACKS:
        hooks.expect(**track, id=id, timeout=T)


def check_whole_life(hooks: SyncHooks, reason: int, id: str = "s1") -> None:
    """Wait for the end, then check that everything was told that belongs to a life, once and in its order."""
    end = hooks.expect("disconnected", id=id, timeout=T)
    assert end["reason"] == reason
    for track, ended in zip(TRACKS, ENDED, strict=True):
        hooks.expect_order("connecting", "connected", "peer_joined", track, ended, "peer_leaved", "disconnected", id=id)
    told = [hook for hook in hooks.all() if hook.session == end.session]
    assert [hook["seq"] for hook in told] == list(range(1, len(told) + 1))
    assert len([hook for hook in told if hook.state not in ("reconnect", "reconnected")]) == 9


def get(url: str, method: str = "GET", token: str | None = None) -> Any:
    """Ask the REST interface; text that is no JSON is returned as it is."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=T) as answer:
        body = answer.read().decode()
        return json.loads(body) if "json" in answer.headers["Content-Type"] else body


def has_left_its_socket(stream: SyncPublisher, stream_manager: EmbeddedSimulator) -> None:
    """Wait until the signaling of the only client is on the data channel, and both ends know it."""
    until(lambda: stream.switched and "smproxy_relays 0.0" in get(f"{stream_manager.rest_url}/metrics", token="t0ken"))


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + T
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not become true"
        threading.Event().wait(0.005)


@pytest.mark.parametrize("data_channel", [True, False], ids=["switching", "on the socket"])
def test_publish_and_unpublish(
    publisher: MakePublisher, webhook_receiver: SyncWebhookReceiver, hooks: SyncHooks, data_channel: bool
) -> None:
    """A publisher's life is told from connecting to disconnected, in order, with the parameters of its URL."""
    params = {"username": "u", "password": "hunter2", "recording": True, "meta": {"k": 1}, "app": "/live"}
    with publisher("s1", data_channel=data_channel, switch_delay=0.1, **params) as stream:
        webhook_receiver.expect("remote_track_started", track="video_main", timeout=T)
        webhook_receiver.expect("remote_track_started", track="audio_main", timeout=T)
    webhook_receiver.expect("recording_saved", id="s1", timeout=T)
    hooks.expect_order("connecting", "connected", "peer_joined", "peer_leaved", {"state": "disconnected", "reason": 0})
    assert stream.ended_by == "client"
    for hook in webhook_receiver.hooks:
        assert hook.event["connection"] == {
            "id": "s1",
            "username": "u",
            "customerScope": "test",
            "recording": True,
            "meta": {"k": 1},
            "app": "live",
            "role": "publisher",
            "transport": "websocket",
        }
        assert b"hunter2" not in hook.body
    assert [hook.body for hook in webhook_receiver.hooks] == [hook.body for hook in hooks.all()]


def test_socket_closed_without_switch(publisher: MakePublisher, hooks: SyncHooks) -> None:
    """A publisher whose socket closes before it has switched is gone at once, and its name is free."""
    stream = publisher("s1", data_channel=False)
    stream.publish()
    has_media(hooks)
    stream.close()
    check_whole_life(hooks, reason=0)
    with publisher("s1"):
        pass


@pytest.mark.stream_manager(media_gap=0.5, media_timeout=1.2)
def test_lost_network_after_the_switch(
    publisher: MakePublisher, hooks: SyncHooks, stream_manager: EmbeddedSimulator
) -> None:
    """A publisher that vanishes is ``reconnect`` after the gap and gone after the time-out, and its name is free."""
    stream = publisher("s1", switch_delay=0.1)
    stream.publish()
    has_media(hooks)
    has_left_its_socket(stream, stream_manager)
    stream.vanish()
    hooks.expect_order("reconnect", *ENDED[:1], "disconnected", timeout=T)
    check_whole_life(hooks, reason=1)
    with publisher("s1"):
        pass


def test_name_in_use(publisher: MakePublisher, hooks: SyncHooks) -> None:
    """A second publisher of a live name is refused, and the first goes on."""
    with publisher("s1") as first:
        with pytest.raises(PublishRejected):
            publisher("s1").publish()
        hooks.expect("connect_error", id="s1", error=4, timeout=T)
        assert not first.closed.is_set()
        hooks.none("disconnected", during=0)


@pytest.mark.stream_manager(admin_token="t0ken")
@pytest.mark.parametrize("data_channel", [True, False], ids=["switched", "on the socket"])
def test_kick(
    publisher: MakePublisher, hooks: SyncHooks, stream_manager: EmbeddedSimulator, data_channel: bool
) -> None:
    """Deleting a session ends it with reason 3, and its publisher notices."""
    stream = publisher("s1", data_channel=data_channel, switch_delay=0.1)
    stream.publish()
    has_media(hooks)
    if data_channel:
        has_left_its_socket(stream, stream_manager)
    session = hooks.expect("connected", id="s1")["session"]
    get(f"{stream_manager.rest_url}/api/v1/sessions/{session}", "DELETE", token="t0ken")
    check_whole_life(hooks, reason=3)
    until(stream.closed.is_set)
    assert stream.ended_by == "server"


@pytest.mark.stream_manager(media_gap=0.5, media_timeout=1.2, reconnect_window=30)
def test_back_within_the_window(publisher: MakePublisher, hooks: SyncHooks, stream_manager: EmbeddedSimulator) -> None:
    """A publisher that was lost and comes back inside the window goes on in the same session."""
    lost = publisher("s1", username="u", switch_delay=0.1)
    lost.publish()
    has_media(hooks)
    has_left_its_socket(lost, stream_manager)
    lost.vanish()
    gone = hooks.expect("reconnect", timeout=T)
    with publisher("s1", username="u"):
        hooks.expect("reconnected", session=gone.session, timeout=T)
    check_whole_life(hooks, reason=0)


@pytest.mark.stream_manager(media_gap=0.5, media_timeout=20, reconnect_window=30)
def test_another_user_within_the_window(
    publisher: MakePublisher, hooks: SyncHooks, stream_manager: EmbeddedSimulator
) -> None:
    """The session of a lost publisher is not for another user: that one is told that the name is in use."""
    lost = publisher("s1", username="u", switch_delay=0.1)
    lost.publish()
    has_media(hooks)
    has_left_its_socket(lost, stream_manager)
    lost.vanish()
    hooks.expect("reconnect", timeout=T)
    with pytest.raises(PublishRejected):
        publisher("s1", username="mallory").publish()


@pytest.mark.stream_manager(media_gap=0.3, media_timeout=0.6, reconnect_window=0.5)
def test_window_closes(publisher: MakePublisher, hooks: SyncHooks, stream_manager: EmbeddedSimulator) -> None:
    """When nobody comes back inside the window the session ends with reason 1, and once."""
    lost = publisher("s1", switch_delay=0.1)
    lost.publish()
    has_media(hooks)
    has_left_its_socket(lost, stream_manager)
    lost.vanish()
    check_whole_life(hooks, reason=1)


def test_dead_receiver(publisher: MakePublisher, hooks: SyncHooks, webhook_receiver: SyncWebhookReceiver) -> None:
    """A receiver that never answers delays neither the publisher nor what others are told."""
    webhook_receiver.respond = "hang"
    with publisher("s1"):
        has_media(hooks)
    hooks.expect("disconnected", id="s1", timeout=T)
    assert len(webhook_receiver.hooks) <= 1


@pytest.mark.stream_manager(hook_format="cloudevents")
def test_cloudevents(publisher: MakePublisher, webhook_receiver: SyncWebhookReceiver) -> None:
    """Hooks that are sent as CloudEvents are expected by the same names."""
    with publisher("s1"):
        hook = webhook_receiver.expect("session", state="connected", id="s1", timeout=T)
    assert json.loads(hook.body)["specversion"] == "1.0"
    assert hook.event["event"] == "session"


async def test_watched(publisher: Any, subscriber: Any, hooks: Any) -> None:
    """A subscriber gets the pictures of a publisher, and each one's life is told."""
    async with publisher("s1"), subscriber("s1") as watching:
        await watching.wait_for_frames(3, timeout=T)
        await hooks.expect_order("local_track", "local_track_attached", role="subscriber", timeout=T)
    await hooks.expect_order("local_track_detached", "disconnected", role="subscriber", timeout=T)
    await hooks.expect("disconnected", role="publisher", reason=0, timeout=T)
