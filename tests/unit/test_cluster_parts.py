"""Single parts of a cluster's node, where another safeguard hides a fault of one from the simulation."""

from __future__ import annotations

import pytest
from smproxy.cluster.claims import Claims, Held
from smproxy.cluster.directory import Directory
from smproxy.cluster.records import Bucket, ClaimRecord, NodeLife, NodeRecord, Unfinished, claim_key, encode
from smproxy.cluster.registration import Registration
from smproxy.cluster.requests import (
    CONFLICT,
    MISSING,
    NO_ANSWER,
    Create,
    Pause,
    Read,
    RegistryEntry,
    Remove,
    Reply,
    Request,
    Steps,
    Update,
    Written,
)
from smproxy.cluster.snapshots import Snapshots

from tests.hooks_support import connection
from tests.unit.test_cluster_fencing import TIMING, Time, standing

ME, OTHER = NodeLife("a", "1"), NodeLife("b", "9")


def test_a_claim_that_another_node_has_is_lost() -> None:
    """Who finds another's claim on its name gives its own up and says so, once; what is its own is kept."""
    made, time = standing()
    lost: list[Held] = []
    claims = Claims(made, TIMING, monotonic=time, life=lambda: ME, on_lost=lost.append, on_over=lambda _: None)
    steps = claims.claim("live", "cam", "nonce-1")
    assert isinstance(next(steps), Create)
    held = None
    try:
        steps.send(Written(7, time.now))
    except StopIteration as done:
        held = done.value
    assert isinstance(held, Held)
    claims.observed(held.key, RegistryEntry(encode(held.record), 7))
    assert claims.holds(held)
    assert not lost
    other = ClaimRecord(owner=OTHER, scope="live", name="cam", nonce="nonce-2")
    for _ in range(2):
        claims.observed(held.key, RegistryEntry(encode(other), 8))
    assert lost == [held]
    assert not claims.holds(held)


def test_a_node_that_finds_another_life_of_its_name_is_fenced() -> None:
    """Its lease was over without its knowing: it acts no more, from this moment on, and joins as a new life."""
    made, time = standing()
    fenced: list[bool] = []
    incarnations = iter("123")
    registration = Registration(
        "a",
        made,
        TIMING,
        monotonic=time,
        new_incarnation=lambda: next(incarnations),
        record=lambda life: NodeRecord(life=life),
        on_joined=lambda _: None,
        on_fenced=lambda: fenced.append(True),
        on_regained=lambda: None,
    )
    steps = registration.keep()
    assert isinstance(next(steps), Create)
    assert isinstance(steps.send(Written(1, time.now)), Pause)
    assert registration.life == ME
    assert isinstance(steps.send(None), Update)
    assert isinstance(steps.send(CONFLICT), Read)
    request = steps.send(RegistryEntry(encode(NodeRecord(life=NodeLife("a", "8"))), 5))
    assert not made.acts()
    assert fenced == [True]
    assert registration.life is None
    assert isinstance(request, Create)
    assert request.bucket is Bucket.NODES


def of_session(seq: int) -> Unfinished:
    return Unfinished(session=1, seq=seq, until=0, connection=connection())


def over(steps: Steps[None], reply: Reply) -> bool:
    """Send the last reply; return whether nothing more is asked."""
    try:
        steps.send(reply)
    except StopIteration:
        return True
    return False


def written(snapshots: Snapshots, state: Unfinished, revision: int) -> None:
    """Have a state in the registry."""
    assert snapshots.set("s", state)
    steps = snapshots.write("s")
    assert isinstance(next(steps), Create)
    assert over(steps, Written(revision, 0.0))


def test_a_session_is_written_until_the_registry_has_it() -> None:
    """Without an answer it is written again after a pause."""
    snapshots = Snapshots(TIMING)
    assert snapshots.set("s", of_session(1))
    steps = snapshots.write("s")
    requests: list[Request] = [next(steps), *(steps.send(reply) for reply in (NO_ANSWER, NO_ANSWER, None))]
    assert [type(each) for each in requests] == [Create, Read, Pause, Create]
    assert over(steps, Written(3, 0.0))


def test_a_session_has_one_writer() -> None:
    """While one writes it, a newer state is taken by that one."""
    snapshots = Snapshots(TIMING)
    assert snapshots.set("s", of_session(1))
    steps = snapshots.write("s")
    next(steps)
    assert not snapshots.set("s", of_session(2))
    update = steps.send(Written(3, 0.0))
    assert isinstance(update, Update)
    assert (update.value, update.revision) == (encode(of_session(2)), 3)
    assert over(steps, Written(4, 0.0))


def test_a_session_that_another_node_has_ended_is_not_written_again() -> None:
    """Its entry is gone: who ended it has removed that."""
    snapshots = Snapshots(TIMING)
    written(snapshots, of_session(1), 3)
    assert snapshots.set("s", of_session(2))
    steps = snapshots.write("s")
    assert isinstance(next(steps), Update)
    assert isinstance(steps.send(CONFLICT), Read)
    assert over(steps, MISSING)


def test_an_entry_that_is_there_already_is_replaced_by_its_revision() -> None:
    """An earlier attempt may have arrived although its answer was lost."""
    snapshots = Snapshots(TIMING)
    assert snapshots.set("s", of_session(1))
    steps = snapshots.write("s")
    assert isinstance(next(steps), Create)
    assert isinstance(steps.send(CONFLICT), Read)
    update = steps.send(RegistryEntry(encode(of_session(1)), 9))
    assert isinstance(update, Update)
    assert update.revision == 9
    assert over(steps, Written(10, 0.0))
    assert snapshots.set("s", None)
    removal = next(snapshots.write("s"))
    assert isinstance(removal, Remove)
    assert removal.revision == 10


def test_a_node_that_is_not_renewed_is_not_listed() -> None:
    """Its entry is as good as its lease."""
    time = Time()
    directory = Directory(TIMING.ttl, time)
    directory.node_seen(NodeRecord(life=ME))
    assert [record.life for record in directory.nodes()] == [ME]
    time.now += TIMING.ttl
    assert directory.nodes() == []
    assert directory.owners_missing() == {ME}


@pytest.mark.parametrize("gone", ["deleted", "not listed"])
def test_claims_are_those_of_the_registry(gone: str) -> None:
    """A claim of a node that nobody knows makes that one missing; one that is gone is forgotten."""
    directory = Directory(TIMING.ttl, Time())
    key = claim_key("live", "cam")
    directory.claim_seen(key, ClaimRecord(owner=OTHER, scope="live", name="cam", nonce="n"), 4)
    assert directory.owners_missing() == {OTHER}
    assert directory.epoch("live", "cam") == 4
    if gone == "deleted":
        directory.claim_gone(key)
    else:
        directory.forget_claims(["other"])
    assert directory.claims() == []
    assert directory.owners_missing() == set()
