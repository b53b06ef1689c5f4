"""The manager and the origin conclude the same role from what a client says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from smproxy.manager.attempt import Attempt, Client
from smproxy.manager.origin_registry import Node
from smproxy.origin.effects import BecomeSubscriber, Via
from smproxy.origin.play.subscriber_signaling import SubscriberSignaling
from smproxy.origin.publisher_signaling import PublisherSignaling
from smproxy.origin.streams import Streams
from smproxy.signaling import messages
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Role
from yarl import URL

MESSAGES: list[dict[str, Any]] = [
    {"isAvailable": "s1"},
    {"isAvailable": "s1", "bundle": True},
    {"handleOffer": "s1", "data": {"sdp": {"type": "offer", "sdp": "v=0"}}},
    {"publish": "s1"},
    {"requestOffer": "s1"},
    {"subscribe": "s1"},
    {"callAdapter": {"method": "m"}, "id": "1"},
    {"publish": "s1", "requestOffer": "s1"},
    {"handleOffer": "s1", "requestOffer": "s1", "data": {"sdp": {"type": "offer", "sdp": "v=0"}}},
    {"switchChannel": "c", "requestOffer": "s1"},
    {"switchChannel": "c", "subscribe": "s1", "handleOffer": "s1"},
]


def origin_role(said: list[dict[str, Any]], table: Streams) -> Role | None:
    """Return the role that the origin gives to a client, ``None`` while it has not made an offer nor asked for one."""
    talk: PublisherSignaling | SubscriberSignaling = PublisherSignaling(scope="live", client_id="x", streams=table)
    for message in said:
        effects = talk.receive(json.dumps(message), Via.SOCKET)
        if any(isinstance(each, BecomeSubscriber) for each in effects):
            talk = SubscriberSignaling(scope="live", streams=table)
    if isinstance(talk, SubscriberSignaling):
        return Role.SUBSCRIBER
    return Role.PUBLISHER if talk.stream is not None else None


def manager_role(said: list[dict[str, Any]]) -> Role:
    """Return the role that the manager concludes from the same frames."""
    params = ConnectionParams.from_url(URL("ws://x/streammanager?id=x&customerScope=s&host=h&app=live"))
    node = Node("h", "h", 1)
    attempt = Attempt(
        "t",
        1,
        params,
        node,
        Client(remote_ip="h"),
        report=lambda *_: None,
        dial_over=lambda *_: None,
        over=lambda _: None,
    )
    for message in said:
        attempt.client_message(messages.read_client(json.dumps(message)))
    return attempt.role


@given(st.lists(st.sampled_from(MESSAGES), max_size=8))
def test_both_conclude_the_same_role(said: list[dict[str, Any]]) -> None:
    """Whatever a client says in whatever order, a role that the origin has given is the one that the manager tells."""
    role = origin_role(said, Streams())
    if role is not None:
        assert manager_role(said) is role
