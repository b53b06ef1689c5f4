"""Whatever happens to a session, and in whatever order, its hooks follow the grammar of its life."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling.payloads import (
    ConnectError,
    Kind,
    LocalTrackPayload,
    Payload,
    PeerPayload,
    Reason,
    RemoteTrackPayload,
    SessionPayload,
)
from smproxy.signaling.session import ERROR_OF_END, TABLE, Input, Phase, SessionLife

from tests.fake_clock import FakeTime

#: One letter a hook, so that a regular expression can be the grammar.
LETTERS = {
    "connecting": "c",
    "connect_error": "e",
    "connected": "C",
    "reconnect": "g",
    "reconnected": "b",
    "disconnected": "D",
    "peer_joined": "J",
    "peer_leaved": "L",
    "remote_track_started": "t",
    "remote_track_ended": "T",
    "remote_track_muted": "m",
    "remote_track_unmuted": "u",
    "local_track": "s",
    "local_track_attached": "a",
    "local_track_detached": "A",
    "recording_started": "r",
    "recording_saved": "R",
    "recording_failed": "R",
}
#: A recording may be saved after the session: closing its file takes its time.
ENDED_LIFE = re.compile(r"e | c e | c C (g b)* g? D | c C (g b)* g? J (b? g? [tTsaArR]*)* L D R?".replace(" ", ""))
STARTS_AND_ENDS = (("c", "eD"), ("J", "L"))


def new_life(time: FakeTime | None = None) -> SessionLife:
    return SessionLife(7, peer="s", scope="live", remote_ip="192.0.2.1", clock=(time or FakeTime()).clock)


ACTIONS: dict[str, Callable[[SessionLife], list[Payload]]] = {
    "accept": lambda life: life.accept(),
    "refuse": lambda life: life.refuse(ConnectError.ORIGIN_ERROR),
    "transport_up": lambda life: life.transport_up(),
    "stream_start": lambda life: life.stream_start(),
    "gap": lambda life: life.gap(),
    "back": lambda life: life.back(),
    "end": lambda life: life.end(Reason.USER_ACTION),
    "audio_start": lambda life: life.track_start("audio_main", Kind.AUDIO),
    "audio_end": lambda life: life.track_end("audio_main"),
    "video_start": lambda life: life.track_start("video_main", Kind.VIDEO),
    "video_end": lambda life: life.track_end("video_main"),
}
#: What else can happen to a session's media.
MORE_ACTIONS: dict[str, Callable[[SessionLife], list[Payload]]] = {
    "slot": lambda life: life.slot(1, Kind.VIDEO),
    "attach": lambda life: life.attach(1, "cam", "video_main"),
    "attach_other": lambda life: life.attach(1, "other", "video_main"),
    "detach": lambda life: life.detach(1),
    "record": lambda life: life.recording_start("live/s.webm"),
    "saved": lambda life: life.recording_end("live/s.webm", 10, 20, None),
    "failed": lambda life: life.recording_end("live/s.webm", 10, 20, "the disk is full"),
}


def letters(payloads: list[Payload]) -> str:
    """Spell hooks by one letter each."""
    return "".join(LETTERS[p.state if isinstance(p, SessionPayload) else p.event] for p in payloads)


def check_grammar(told: str, payloads: list[Payload]) -> None:
    """Fail unless an ended session's hooks are a sentence of the grammar in which every start has exactly one end."""
    assert ENDED_LIFE.fullmatch(told), told
    for start, ends in STARTS_AND_ENDS:
        assert told.count(start) == sum(told.count(end) for end in ends) or (start == "c" and told == "e"), told
    assert re.fullmatch("(gb)*g?", re.sub("[^gb]", "", told)), "reconnect and reconnected take turns"
    assert not re.search("g[^b]*[tsar]", told), "nothing starts while nothing comes from the peer"
    assert re.fullmatch("(s(aA)*)?", re.sub("[^saA]", "", told)), "a slot is made once, attached and detached in turns"
    # A recording that could not be begun has failed without a start.
    assert re.fullmatch("(r?R)*", re.sub("[^rR]", "", told)), "a recording that was begun ends"
    tracks: set[str] = set()
    for payload in payloads:
        if isinstance(payload, RemoteTrackPayload):
            if payload.event == "remote_track_started":
                assert payload.track not in tracks
                tracks.add(payload.track)
            else:
                tracks.remove(payload.track)
    assert not tracks


@given(st.lists(st.sampled_from(sorted(ACTIONS | MORE_ACTIONS)), max_size=25))
def test_any_order_of_inputs(names: list[str]) -> None:
    """Any sequence of inputs, then an end, gives hooks of the grammar, with every start ended once; the end of a recording
    alone may follow."""
    actions = ACTIONS | MORE_ACTIONS
    life = new_life()
    payloads = life.accept()
    for name in names:
        payloads += actions[name](life)
    payloads += life.end(Reason.TIMEOUT)
    late = life.recording_end("live/s.webm", 10, 20, None)
    told = letters(payloads)
    recorded = re.sub("[^rR]", "", told)
    assert letters(late) == ("R" if recorded.endswith("r") else "")
    check_grammar(re.sub("LDR$", "RLD", told + letters(late)), payloads)
    assert life.phase is Phase.ENDED
    assert not any(action(life) for action in actions.values()), "an ended session tells nothing more"


def test_every_short_life() -> None:
    """Each of the sequences of four inputs gives hooks of the grammar: the table has no hole."""
    for names in product(sorted(ACTIONS), repeat=4):
        life = new_life()
        payloads = life.accept()
        for name in names:
            payloads += ACTIONS[name](life)
        payloads += life.end(Reason.USER_ACTION)
        check_grammar(letters(payloads), payloads)


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Input)), ids=lambda value: value.name)
def test_table(phase: Phase, event: Input) -> None:
    """From every phase but the first each row leads on, an end ends, and what is not in the table changes nothing."""
    row = TABLE.get((phase, event))
    if phase is Phase.ENDED:
        assert row is None
    elif event is Input.END and phase is not Phase.NEW:
        assert row is not None
        assert row[0] is Phase.ENDED
    elif row is not None:
        assert row[0] not in {phase, Phase.NEW}


def test_publisher_life() -> None:
    """A publisher's hooks come in the documented order, with its tracks in the order of their first packets."""
    life = new_life()
    told = life.accept() + life.transport_up() + life.stream_start()
    told += life.track_start("video_main", Kind.VIDEO) + life.track_start("audio_main", Kind.AUDIO)
    told += life.end(Reason.USER_ACTION)
    assert letters(told) == "cCJttTTLD"
    assert [p.track for p in told if isinstance(p, RemoteTrackPayload)] == ["video_main", "audio_main"] * 2


def test_subscriber_life() -> None:
    """A subscriber's slots come after ``peer_joined``; another source detaches the one before, and the end detaches all."""
    life = new_life()
    told = life.accept() + life.slot(0, Kind.AUDIO) + life.attach(0, "cam", "audio_main")
    told += life.stream_start(peer="bob") + life.transport_up()
    told += life.slot(1, Kind.VIDEO) + life.attach(1, "cam", "video_main") + life.attach(1, "other", "video_main")
    told += life.detach(0) + life.attach(2, "cam", "video_main") + life.end(Reason.USER_ACTION)
    assert letters(told) == "cCJsasaAaAALD"
    local = [p for p in told if isinstance(p, LocalTrackPayload)]
    assert [(p.event, p.track, p.kind, p.remote_peer, p.remote_track) for p in local[:4]] == [
        ("local_track", 0, Kind.AUDIO, None, None),
        ("local_track_attached", 0, None, "cam", "audio_main"),
        ("local_track", 1, Kind.VIDEO, None, None),
        ("local_track_attached", 1, None, "cam", "video_main"),
    ]
    assert [(p.event, p.remote_peer) for p in local[4:6]] == [
        ("local_track_detached", "cam"),
        ("local_track_attached", "other"),
    ]


def test_a_source_that_comes_and_goes_while_its_subscriber_is_silent() -> None:
    """What was attached and detached during a gap is told in that order after it, and nothing is left attached."""
    life = new_life()
    told = life.accept() + life.transport_up() + life.stream_start()
    told += life.slot(1, Kind.VIDEO) + life.attach(1, "cam", "video_main") + life.gap() + life.detach(1)
    assert letters(told) == "cCJsagA"
    assert not life.attach(1, "cam", "video_main")
    assert not life.detach(1)
    assert letters(life.back()) == "baA"
    assert letters(life.end(Reason.USER_ACTION)) == "LD"


def test_what_waits_for_a_live_session_is_bounded() -> None:
    """Reports about a session that never becomes live do not pile up."""
    life = new_life()
    life.accept()
    for number in range(1000):
        life.slot(number, Kind.VIDEO)
    told = life.transport_up() + life.stream_start()
    assert 0 < len(told) < 100


def test_media_outruns_signaling() -> None:
    """A track whose packets come before the stream has started is told after ``peer_joined``, and once."""
    life = new_life()
    told = life.accept() + life.track_start("audio_main", Kind.AUDIO) + life.stream_start() + life.transport_up()
    assert letters(told) == "cCJt"
    assert life.track_start("audio_main", Kind.AUDIO) == []


def test_what_is_muted_is_told_between_start_and_end() -> None:
    """A mute before the first packet comes behind the start, the same again is none, and a return unmutes."""
    life = new_life()
    life.accept()
    told = [*life.track_mute("audio_main", muted=True), *life.transport_up(), *life.stream_start()]
    assert letters(told) == "CJ"

    def events(payloads: list[Payload]) -> list[str]:
        return [
            payload.event.removeprefix("remote_track_")
            for payload in payloads
            if isinstance(payload, RemoteTrackPayload)
        ]

    assert events(life.track_start("audio_main", Kind.AUDIO)) == ["started", "muted"]
    assert life.track_mute("audio_main", muted=True) == []
    assert events(life.track_mute("audio_main", muted=False)) == ["unmuted"]
    assert life.track_mute("video_main", muted=True) == []
    life.track_mute("audio_main", muted=True)
    life.gap()
    assert life.unmute_all() == []  # told when it is back
    assert events(life.back()) == ["unmuted"]
    assert events(life.track_mute("audio_main", muted=True)) == ["muted"]
    assert events(life.end(Reason.USER_ACTION)) == ["ended"]


def test_times() -> None:
    """``after_ms`` and ``duration`` are milliseconds since what they are said to count from."""
    time = FakeTime()
    life = new_life(time)
    told = life.accept()
    time.now += 0.25
    told += life.transport_up()
    time.now += 2
    told += life.gap()
    time.now += 1.5
    told += life.back()
    time.now += 1
    told += life.end(Reason.KICKED)
    sessions = [p for p in told if isinstance(p, SessionPayload)]
    assert [(p.state, p.after_ms, p.duration) for p in sessions] == [
        ("connecting", None, None),
        ("connected", 250, None),
        ("reconnect", None, None),
        ("reconnected", 1500, None),
        ("disconnected", None, 4500),
    ]
    assert sessions[-1].reason is Reason.KICKED


@pytest.mark.parametrize("reason", list(Reason))
def test_end_before_connected(reason: Reason) -> None:
    """An attempt that ends before it is connected gives ``connect_error`` with the error that stands for the reason."""
    life = new_life()
    life.accept()
    (payload,) = life.end(reason)
    assert isinstance(payload, SessionPayload)
    assert (payload.state, payload.error, payload.reason) == ("connect_error", ERROR_OF_END[reason], None)


def test_refusal_before_accept() -> None:
    """A connection that was refused for its parameters tells ``connect_error`` alone."""
    assert letters(new_life().refuse(ConnectError.REJECTED)) == "e"


def test_name_from_the_messages() -> None:
    """The peer is told under the name that the stream was started with, in all hooks alike."""
    life = new_life()
    told = life.accept() + life.transport_up() + life.stream_start(peer="other", scope="live/room1")
    told += life.stream_start(peer="third") + life.end(Reason.USER_ACTION)
    peers = [(p.peer, p.room) for p in told if isinstance(p, PeerPayload)]
    assert peers == [("other", "live/room1")] * 2
