"""A forwarder under everything at once: whatever happens in whatever order, what a subscriber is sent can be shown."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from smproxy.origin.forward import at_once

from tests.fake_clock import FakeTime
from tests.unit.forward_rig import KEY, Publisher, Subscriber, Turn

STEPS = [
    "frame",
    "frame",
    "frame",
    "key",
    "lose",
    "swap",
    "repeat",
    "full",
    "free",
    "pause",
    "resume",
    "switch",
    "nack",
    "turn",
    "turn",
]


def lived(steps: list[str], seed: int, packets: int, turn: Turn | None) -> Subscriber:
    """Return a subscriber after all of that; with a ``turn`` those packets wait that come before a step "turn"."""
    rng = random.Random(seed)
    clock = FakeTime()
    soon = at_once if turn is None else turn.soon
    publishers = [
        Publisher(clock, sequence=65500, soon=soon),
        Publisher(clock, sequence=100, timestamp=5, soon=soon),
    ]
    for publisher in publishers:
        publisher.frame(key=True, packets=packets)
    subscriber = Subscriber(clock, seed=seed)
    subscriber.sender.attach(publishers[0].forwarder)
    for step in steps:
        publisher = publishers[0]
        if step in ("frame", "key", "lose", "swap", "repeat"):
            made = publisher.make_frame(key=step == "key", packets=packets)
            if step == "lose":
                made.pop(rng.randrange(len(made)))
            elif step == "swap":
                rng.shuffle(made)
            elif step == "repeat":
                made += made
            for data in made:
                publisher.track.packet(data)
        elif step in ("full", "free"):
            subscriber.full = step == "full"
        elif step == "pause":
            subscriber.sender.pause()
        elif step == "resume":
            subscriber.sender.resume()
        elif step == "switch":
            publishers.reverse()
            subscriber.sender.attach(publishers[0].forwarder)
        elif step == "turn":
            if turn is not None:
                turn.end()
        elif subscriber.sent:
            subscriber.sender.nack([rng.choice(subscriber.sent).sequence])
    if turn is not None:
        turn.end()
    return subscriber


@given(st.lists(st.sampled_from(STEPS), max_size=120), st.integers(0, 1000), st.integers(1, 40), st.booleans())
def test_whatever_happens_the_sequence_stays_in_order(
    steps: list[str], seed: int, packets: int, in_turns: bool
) -> None:
    """Loss, reordering, stalls, mutes and switches between two streams: the client never sees two packets under one number,
    timestamps of new packets never go back, and each beginning is a key frame."""
    subscriber = lived(steps, seed, packets, Turn() if in_turns else None)
    seen: dict[int, bytes] = {}
    newest = subscriber.sent[0]
    for each in subscriber.sent:
        ahead = (each.sequence - newest.sequence) & 0xFFFF
        identity = each.payload + each.timestamp.to_bytes(4, "big")
        assert seen.setdefault(each.sequence, identity) == identity, "two packets under one number"
        if 0 < ahead < 0x8000:
            assert ahead <= packets + 16, "a gap that the publisher did not make"
            assert (each.timestamp - newest.timestamp) & 0xFFFFFFFF < 1 << 31, "time went back"
            newest = each
    assert subscriber.sent[0].payload.startswith(KEY)
    assert subscriber.sender.packets == len(subscriber.sent)


@given(
    st.lists(st.sampled_from(sorted({*STEPS} - {"full", "free", "nack"})), max_size=120),
    st.integers(0, 1000),
    st.integers(1, 40),
)
def test_turns_change_nothing_but_the_moment(steps: list[str], seed: int, packets: int) -> None:
    """What waits for the end of a turn is sent as it would have been at once: the same packets in the same order."""
    at_the_end, immediate = lived(steps, seed, packets, Turn()), lived(steps, seed, packets, None)
    assert at_the_end.sent == immediate.sent
    counted = [(each.sender.packets, each.sender.bytes, each.sender.frames) for each in (at_the_end, immediate)]
    assert counted[0] == counted[1]


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 5), st.integers(0, 2), st.binary(max_size=30))))
def test_any_packets_are_taken(packets: list[tuple[int, int, int, bytes]]) -> None:
    """Rubbish from a publisher, well-formed as RTP or not, raises nothing and costs nobody the track."""
    for codec in ("VP8", "H264", "opus"):
        clock = FakeTime()
        publisher, subscriber = Publisher(clock, codec=codec), Subscriber(clock, codec=codec)
        subscriber.sender.attach(publisher.forwarder)
        for sequence, timestamp, ssrc, rest in packets:
            head = sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
            publisher.track.packet(bytes([rest[0] if rest else 0x80, 97]) + head + rest)
        assert subscriber.sender.attached is publisher.forwarder
        publisher.ssrc = 77
        publisher.frame(key=True) if codec == "VP8" else publisher.sound()
        assert codec == "H264" or subscriber.sent
