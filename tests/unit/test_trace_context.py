"""The trace context that clients send and receivers of hooks get."""

from __future__ import annotations

import random

import pytest
from smproxy.hooks.event import uuid7
from smproxy.trace_context import environment_asks, event_traceparent, read_traceparent, write_traceparent

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_round_trip() -> None:
    """What is read is written again, without flags that we do not know."""
    read = read_traceparent(f" {GOOD} ")
    assert read is not None
    assert write_traceparent(*read) == GOOD
    later = read_traceparent(GOOD.replace("00-", "cc-", 1) + "-what-comes")
    assert later is not None
    assert write_traceparent(*later) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        None, "", "undefined", GOOD[:-1], GOOD.upper(), f"{GOOD}-more", GOOD.replace("00-", "ff-", 1),
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), GOOD.replace("00f067aa0ba902b7", "0" * 16),
    ],
)  # fmt: skip
def test_what_is_none_is_passed_over(text: str | None) -> None:
    """Nonsense is no context (W3C Trace Context, 3.2.2)."""
    assert read_traceparent(text) is None


def test_each_event_has_a_span_of_its_own() -> None:
    """It stays in its trace, with its flags, and differs from event to event."""
    rng = random.Random(1)
    made = {event_traceparent(GOOD, uuid7(1795304982504, rng.getrandbits(74))) for _ in range(100)}
    assert len(made) == 100
    for each in made:
        assert read_traceparent(each) is not None
        assert (each[:36], each[52:]) == (GOOD[:36], GOOD[52:])


def test_the_environment_asks() -> None:
    """The standard variables switch traces on and off."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}
    assert environment_asks(endpoint)
    assert not environment_asks({})
    assert not environment_asks(endpoint | {"OTEL_SDK_DISABLED": "true"})
    assert not environment_asks(endpoint | {"OTEL_TRACES_EXPORTER": "none"})
