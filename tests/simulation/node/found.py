"""Histories that once broke a promise: each runs always, whatever the seeds draw by now."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.node.steps import Setup, Step


@dataclass(frozen=True, slots=True)
class Found:
    """A history, the seed of its chances, and what was wrong."""

    what: str
    seed: int
    setup: Setup
    steps: tuple[Step, ...]


def _setup(window: float = 0.0, keep: int | None = None, queue: int = 10_000, in_flight: int = 32) -> Setup:
    return Setup(window=window, keep=keep, queue=queue, in_flight=in_flight, takeover=None)


FOUND = (
    Found(
        "at a start, before its sinks were known, the journal deleted old events that were pending for them",
        1,
        _setup(keep=40, in_flight=1),
        (
            Step(8.9, "connect", 0, "subscriber cam-2 of umbrella as ann"),
            Step(8.9, "receiver", 0, "r1 408"),
            Step(22.0, "stop", 0, "for 1.0 s"),
        ),
    ),
    Found(
        "a crash between a session's end and that of its recording left the recording without an end",
        73,
        _setup(),
        (
            Step(1.0, "connect", 0, "publisher mic of acme as bob"),
            Step(1.5, "progress", 0, "all"),
            Step(2.0, "progress", 0, "record"),
            Step(2.5, "leave", 0, "goodbye"),
            Step(2.6, "kill", 0, "for 1.0 s"),
            Step(5.0, "resend"),
        ),
    ),
    Found(
        "when all of a session but the late end of its recording was deleted, a restart ended the session once more",
        257,
        _setup(keep=40, queue=8, in_flight=1),
        (
            Step(0.2, "connect", 0, "publisher cam-1 of acme as ann"),
            Step(0.231, "progress", 0, "all"),
            Step(0.26, "progress", 0, "record"),
            Step(0.359, "leave", 0, "origin lost"),
            Step(4.553, "connect", 0, "publisher mic of umbrella as ann"),
            Step(11.564, "receiver", 0, "r0 cut"),
            Step(30.0, "progress", 1, "recorded"),
            Step(30.5, "stop", 0, "for 1.0 s"),
            Step(33.0, "receiver", 0, "r0 good"),
        ),
    ),
    *(
        Found(
            f"a crash between the statements of a resend left dead letters pending for ever ({write + 1})",
            335,
            _setup(queue=8),
            (
                Step(4.7, "connect", 0, "publisher mic of umbrella as ann"),
                Step(5.2, "receiver", 0, "r0 301"),
                Step(18.7, "progress", 0, "all"),
                Step(19.2, "kill", 0, "for 1.0 s"),
                Step(21.0, "receiver", 0, "r0 204"),
                Step(22.0, "stop", 0, "for 0.1 s"),
                Step(30.0, "kill in a write", write),
                Step(30.0, "resend"),
                Step(35.0, "stop", 0, "for 1.0 s"),
                Step(38.0, "receiver", 0, "r0 204"),
            ),
        )
        for write in (0, 1, 2, 3)
    ),
    Found(
        "a sink that was behind lost the order when a fault's copies took the room of events that it read back",
        1312,
        _setup(queue=8),
        (
            Step(0.5, "receiver", 0, "r0 close"),
            Step(0.6, "fault", 0, "hook-duplicate for * of acme"),
            *(
                step
                for number in range(12)
                for step in (
                    Step(1.0 + number, "connect", 0, f"subscriber cam-1 of {('acme', 'umbrella')[number % 2]} as ann"),
                    Step(1.2 + number, "progress", 0, "all"),
                )
            ),
            Step(14.0, "receiver", 0, "r0 good"),
            Step(30.0, "resend"),
        ),
    ),
    Found(
        "a reconnect window stayed open although packets came again, and ended the session at its next loss too soon",
        1,
        _setup(window=10.0),
        (
            Step(1.0, "connect", 0, "publisher mic of acme as bob"),
            Step(1.5, "progress", 0, "all"),
            Step(2.0, "leave", 0, "relay"),
            Step(2.5, "progress", 0, "back"),
            Step(4.0, "leave", 0, "timeout"),
            Step(20.0, "resend"),
        ),
    ),
    Found(
        "retention deleted the start of a recording whose session was over and whose file was still being closed",
        183,
        _setup(keep=40, in_flight=1),
        (
            Step(0.9, "connect", 0, "publisher mic of acme as bob"),
            Step(1.1, "progress", 0, "all"),
            Step(1.2, "progress", 0, "record slowly"),
            Step(1.6, "leave", 0, "goodbye"),
            Step(31.0, "kill", 0, "for 0.1 s"),
            Step(38.0, "resend"),
        ),
    ),
    Found(
        "a receiver that could not be added for a broken disk kept the journal from being closed",
        38,
        _setup(keep=40, queue=40),
        (
            Step(14.4, "disk", 0, "broken"),
            *(Step(14.5 + number, "add", 0, f"r{2 + number % 2}") for number in range(4)),
            Step(24.3, "disk", 0, "ok"),
        ),
    ),
    Found(
        "a receiver that was added got what came before, when that could not be written",
        8,
        _setup(in_flight=2),
        (
            *(
                Step(17.0 + number / 10, "connect", 0, f"publisher cam-1 of {customer} as ann")
                for number, customer in enumerate(("acme", "umbrella", None))
            ),
            Step(17.5, "disk", 0, "full"),
            Step(17.6, "connect", 0, "publisher mic of None as ann"),
            Step(17.8, "connect", 0, "publisher cam-1 of None as ann"),
            Step(18.0, "disk", 0, "broken"),
            *(Step(18.01 + number / 100, "add", 0, "r3") for number in range(6)),
            Step(19.0, "progress", 0, "all"),
        ),
    ),
    Found(
        "dead letters that were sent again brought a receiver what it had missed before it was added again",
        0,
        _setup(in_flight=1),
        (
            Step(0.5, "receiver", 0, "r0 400"),
            Step(0.9, "connect", 0, "subscriber mic of acme as bob"),
            Step(5.0, "receiver", 0, "r0 500"),
            Step(6.0, "progress", 0, "all"),
            Step(8.0, "remove", 0, "r0"),
            Step(10.0, "add", 0, "r0"),
            Step(12.0, "receiver", 0, "r0 good"),
            Step(15.0, "resend"),
            Step(20.0, "stop", 0, "for 0.1 s"),
            Step(38.0, "resend"),
        ),
    ),
    Found(
        "an event that a fault delayed was lost at a stop when a receiver had been added meanwhile",
        64,
        _setup(queue=8),
        (
            Step(21.8, "fault", 0, "hook-reorder for cam-* of None"),
            Step(24.7, "connect", 0, "publisher cam-2 of umbrella as bob"),
            Step(25.2, "receiver", 0, "r1 hang"),
            Step(25.5, "add", 0, "r2"),
            Step(35.6, "stop", 0, "for 1.0 s"),
            Step(38.0, "receiver", 0, "r1 good"),
        ),
    ),
)
