"""Reading a session's hooks as one story."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from smproxy.testing import WebhookReceiver

Event = dict[str, Any]


def spell(event: Event) -> str:
    """Name what an event tells, for instance ``connected`` or ``remote_track_started audio_main``."""
    payload = event["payload"]
    return " ".join(filter(None, [payload.get("state") or payload["event"], payload.get("track")]))


def stories(events: list[Event]) -> dict[int, list[str]]:
    """Tell each session's events in the order in which they came, and check that their numbers have no gap."""
    told: dict[int, list[str]] = defaultdict(list)
    sequences: dict[int, list[int]] = defaultdict(list)
    for event in events:
        session = event["payload"]["session"]
        told[session].append(spell(event))
        sequences[session].append(event["seq"])
    for sequence in sequences.values():
        assert sequence == list(range(1, len(sequence) + 1)), "events out of order, lost or repeated"
    return dict(told)


def story(receiver: WebhookReceiver) -> list[str]:
    """Tell the only session's events."""
    told = stories(receiver.events)
    assert len(told) == 1, told
    return next(iter(told.values()))


def last(receiver: WebhookReceiver) -> Event:
    """Return the payload of the last event."""
    payload = receiver.events[-1]["payload"]
    assert isinstance(payload, dict)
    return payload


STARTS = ["connecting", "connected", "peer_joined"]
TRACKS = {"remote_track_started audio_main", "remote_track_started video_main"}
ENDS = ["peer_leaved", "disconnected"]


def check_whole_life(told: list[str]) -> None:
    """Fail unless this is the life of a publisher of audio and video, from its start to its end."""
    assert told[:3] == STARTS, told
    assert set(told[3:5]) == TRACKS, told
    assert {line.replace("ended", "started") for line in told[-4:-2]} == TRACKS, told
    assert told[-2:] == ENDS, told
