"""The book of faults: whom they are for, how often, for how long, with which random numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.faults import FaultError, FaultRegistry, Match, hooks, http, media, origin, signaling
from smproxy.faults.catalog import KINDS, MAX_SIMULATED, read_simulate
from smproxy.faults.fault_registry import MAX_FAULTS, MAX_LOG, MAX_SESSIONS
from smproxy.faults.kind import Layer
from smproxy.signaling.hook_names import NAMES

from tests.fake_clock import FakeTime


@dataclass
class Subject:
    """A connection."""

    id: str | None = "cam-1"
    customer_scope: str | None = "acme"
    role: str = "publisher"
    app: str | None = "live"


def book(time: FakeTime | None = None, seed: int = 1) -> FaultRegistry:
    """Make a book of a known future."""
    return FaultRegistry(clock=(time or FakeTime()).clock, rng=random.Random(seed))


@pytest.mark.parametrize(
    ("match", "yes"),
    [
        (Match(), True),
        (Match(id="cam-1", customer_scope="acme", role="publisher", app="live"), True),
        (Match(id="cam-2"), False),
        (Match(id="cam-*"), True),
        (Match(id="*-1"), True),
        (Match(id="c*1"), True),
        (Match(id="*x*"), False),
        (Match(id="cam*-1*1"), False),
        (Match(id="**m**1"), True),
        (Match(id="cam-?"), False),
        (Match(customer_scope="other"), False),
        (Match(role="subscriber"), False),
        (Match(app="live*"), True),
    ],
)
def test_match(match: Match, yes: bool) -> None:
    """Everything that is given must fit; a star stands for anything, and nothing else is special."""
    assert match.matches(Subject()) is yes


def test_a_match_of_many_stars_takes_no_time() -> None:
    """However many stars there are, a connection is not held up: the parts are looked for one after the other."""
    assert not Match(id="*a" * 50 + "*b").matches(Subject(id="a" * 1_000))
    assert Match(id="*a" * 50 + "*b").matches(Subject(id="a" * 1_000 + "b"))


def test_match_needs_a_value() -> None:
    """A connection without a scope is not matched by a pattern for one."""
    assert not Match(customer_scope="*").matches(Subject(customer_scope=None))
    assert Match(id="a.c").matches(Subject(id="a.c"))
    assert not Match(id="a.*").matches(Subject(id="abc"))


def test_count() -> None:
    """A fault is used so often and no more; it stays listed with its count used up."""
    faults = book()
    fault = faults.add("silence", count=2)
    assert [fault.wants(Subject(), None) for _ in range(4)] == [True, True, False, False]
    assert not fault.active
    assert faults.active() == [fault]


def test_time_to_live() -> None:
    """A fault is over when its time is, and is then gone from the list."""
    time = FakeTime()
    faults = book(time)
    fault = faults.add("silence", ttl=5)
    assert (fault.left, faults.add("silence").left) == (5, None)
    time.now += 4.5
    assert fault.active
    assert fault.left == 0.5
    time.now += 0.6
    assert not fault.active
    assert fault.left == 0
    assert fault not in faults.active()
    assert faults.get(fault.id) is None


def test_probability_has_a_seed() -> None:
    """The same seed draws the same; another draws differently; about the wished part is drawn."""

    def draws(seed: int) -> list[bool]:
        fault = book().add("silence", probability=0.3, seed=seed)
        return [fault.wants(Subject(), None) for _ in range(300)]

    assert draws(7) == draws(7) != draws(8)
    assert 50 < sum(draws(7)) < 130
    assert not any(book().add("silence", probability=0).wants(Subject(), None) for _ in range(50))


def test_unmatched_connections_draw_nothing() -> None:
    """What does not match changes nothing of what those that match get."""
    one, other = (book().add("silence", id="a", probability=0.5, seed=1) for _ in range(2))
    plain = [one.wants(Subject(id="a"), None) for _ in range(50)]
    mixed = [(other.wants(Subject(id="b"), None), other.wants(Subject(id="a"), None))[1] for _ in range(50)]
    assert plain == mixed


def test_seed_of_the_book() -> None:
    """Without a seed of its own a fault has one of the book's random numbers."""
    assert book(seed=4).add("silence").seed == book(seed=4).add("silence").seed != book(seed=5).add("silence").seed


def test_log_and_names() -> None:
    """What faults have done is logged, and found by session; both are bounded."""
    faults = book()
    first, second = faults.add("silence"), faults.add("latency")
    first.acted(5, Subject(), "once")
    second.acted(5, Subject())
    first.acted(5, Subject())
    assert [(entry.fault, entry.detail) for entry in faults.log()] == [
        ("silence", "once"),
        ("latency", ""),
        ("silence", ""),
    ]
    assert faults.log()[0].at == 1_000_000
    assert faults.names_for(5) == ["silence", "latency"]
    assert faults.names_for(6) == []
    assert first.injected == 2
    for session in range(10, MAX_SESSIONS + 20):
        first.acted(session, Subject())
    assert len(faults.log()) == MAX_LOG
    assert faults.names_for(5) == []


def test_remove_and_clear() -> None:
    """Removing a fault ends it, again and again; clearing ends all and keeps the log."""
    faults = book()
    told: list[tuple[str, bool]] = []
    unwatch = faults.watch(lambda fault, on: told.append((fault.name, on)))
    one, two = faults.add("silence"), faults.add("latency")
    one.acted(1, Subject())
    one.remove()
    one.remove()
    assert (one.active, two.active) == (False, True)
    assert not faults.remove(one.id)
    assert faults.clear() == 1
    assert (two.active, faults.active(), len(faults.log())) == (False, [], 1)
    assert told == [("silence", True), ("latency", True), ("silence", False), ("latency", False)]
    unwatch()
    faults.add("silence")
    assert len(told) == 4


def test_there_are_only_so_many() -> None:
    """A test that forgets to remove its faults is told, before they fill the memory."""
    faults = book()
    for _ in range(MAX_FAULTS):
        faults.add("silence")
    with pytest.raises(FaultError, match="remove some"):
        faults.add("silence")


def test_parameters() -> None:
    """Defaults are filled in, numbers read from texts, and the errors say what there is."""
    fault = book().add("close", code="4000", after=1)  # type: ignore[arg-type]
    assert fault.parameters == {"stage": "publish", "code": 4000, "reason": "closed by a fault", "after": 1.0}
    with pytest.raises(FaultError, match="connect, available, offer"):
        book().add("close", stage="later")
    with pytest.raises(FaultError, match="it has none"):
        book().add("no-starting", code=1)


@pytest.mark.parametrize(
    "kind", [kind.name for kind in KINDS.values() if any(p.name == "event" for p in kind.parameters)]
)
def test_events_by_their_names(kind: str) -> None:
    """A fault of hooks takes every event and state that there is, and says what an unknown one may have meant."""
    for name in (*NAMES, "websocket", "websocket_connected", ""):
        assert book().add(kind, event=name).parameters["event"] == name
    with pytest.raises(
        FaultError, match=r"event='peer_joind' is not usable: did you mean peer_joined\? it takes nothing, session"
    ):
        book().add(kind, event="peer_joind")


def test_the_scope_by_its_name_in_messages() -> None:
    """In Python the customer scope may be called as in hooks and connection parameters."""
    fault = book().add("silence", customerScope="acme", id="s")
    assert (fault.match, fault.parameters) == (Match(id="s", customer_scope="acme"), {"stage": "connect"})


def test_simulate() -> None:
    """The parameter names faults and their parameters, with a probability and a seed."""
    asked = read_simulate("publish-denied, latency:ms=200:jitter=50:seed=3:probability=0.5,")
    assert [each.kind.name for each in asked] == ["publish-denied", "latency"]
    assert asked[1].parameters == {"ms": 200, "jitter": 50, "sender": "both"}
    assert (asked[1].seed, asked[1].probability, asked[0].seed) == (3, 0.5, None)


@pytest.mark.parametrize(
    "text", ["", ",", "latency:ms", "latency:ms=", "latency:seed=-1", ",".join(["silence"] * (MAX_SIMULATED + 1))]
)
def test_simulate_refuses(text: str) -> None:
    """What cannot be understood is no fault at all."""
    with pytest.raises(FaultError):
        read_simulate(text)


@given(st.text(alphabet="latency:ms=20,0.5-\x00é silence") | st.text())
def test_simulate_never_breaks(text: str) -> None:
    """Any text is either understood or refused with one line that says why."""
    try:
        problem = "" if read_simulate(text) else "nothing was read"
    except FaultError as error:
        problem = "" if str(error) and "\n" not in str(error) else f"not one line: {error}"
    assert not problem


def test_simulated_faults_are_for_one_session() -> None:
    """What a connection asked for its hooks is for its session only, and forgotten with it."""
    faults = book()
    (fault,) = faults.simulate(read_simulate("hook-drop"), 9)
    assert fault.is_for(Subject(), 9)
    assert not fault.is_for(Subject(), 8)
    assert (faults.hook_faults(9), faults.hook_faults(8), faults.active()) == ([fault], [], [])
    faults.forget_session(9)
    assert not faults.has_hook_faults


def test_every_kind_is_whole() -> None:
    """Every kind can be made with its defaults, says what it does, and its parameters hide nothing else of it."""
    for kind in KINDS.values():
        values = kind.read({})
        assert kind.layer in Layer
        assert kind.effect.endswith(".")
        assert bool(kind.publish) is (kind.layer is not Layer.HTTP)
        assert bool(kind.whip) is (kind.layer is not Layer.HTTP)
        behaviour = kind(values, random.Random(1))
        for parameter in kind.parameters:
            assert parameter.read(parameter.default) == parameter.default == getattr(behaviour, parameter.name)
            assert parameter.help
            assert not any(hasattr(base, parameter.name) for base in kind.__bases__)
            assert parameter.name not in {
                "id",
                "customer_scope",
                "role",
                "app",
                "count",
                "probability",
                "seed",
                "ttl",
                "kind",
            }


def test_modules_and_kinds_belong_together() -> None:
    """Each module of a layer's package defines the one fault that it is named after, which is found by that alone."""
    modules = {
        module.name for each in (signaling, http, media, origin, hooks) for module in iter_modules(each.__path__)
    }
    assert len(modules) == len(KINDS)
    for name, kind in KINDS.items():
        assert kind.__module__ == f"smproxy.faults.{kind.layer}.{name.replace('-', '_')}"
