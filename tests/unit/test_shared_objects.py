"""The core of shared objects: who gets what, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smproxy.log_fields import about
from smproxy.origin.effects import SharedObjectAction, SharedObjectRequest, Via
from smproxy.origin.shared_objects import (
    BURST,
    MAX_BYTES,
    MAX_JOINED,
    MAX_MEMBERS,
    MAX_OBJECTS,
    MAX_PROPERTIES,
    MAX_VALUE,
    RATE,
    SharedObjects,
)

from tests.fake_clock import FakeTime

PLACE = ("acme", "live")


class Somebody:
    """A member that keeps what it is sent."""

    def __init__(self, objects: SharedObjects, attempt: str = "a1", place: tuple[str, str] = PLACE) -> None:
        self.attempt = attempt
        self.about = about()
        self.got: list[dict[str, Any]] = []
        self._objects = objects
        self._place = place

    def send_shared_object(self, text: str) -> None:
        self.got.append(json.loads(text)["data"])

    def ask(self, action: SharedObjectAction, **value: Any) -> list[dict[str, Any]]:
        """Ask, and return what came to this member since."""
        return self.ask_raw(action, json.dumps(value).encode())

    def ask_raw(self, action: SharedObjectAction, value: bytes) -> list[dict[str, Any]]:
        before = len(self.got)
        self._objects.take(SharedObjectRequest(action, value, Via.SOCKET), self._place, self)
        return self.got[before:]

    def connect(self, name: str = "o") -> list[dict[str, Any]]:
        return self.ask(SharedObjectAction.CONNECT, name=name)

    def set(self, key: str, value: Any, name: str = "o") -> list[dict[str, Any]]:
        return self.ask(SharedObjectAction.SET_PROPERTY, name=name, key=key, value=value)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def objects(time: FakeTime) -> SharedObjects:
    return SharedObjects(time)


def test_the_dialogue(objects: SharedObjects) -> None:
    """Get, connect, set, send and close are answered as the SDKs read it, and each change goes to all members."""
    one, two = Somebody(objects), Somebody(objects, "a2")
    assert one.ask(SharedObjectAction.GET_REMOTE, name="o") == [
        {"name": "o", "status": "SharedObject.Status.GetRemote", "message": "Success"}
    ]
    assert one.connect() == [
        {"name": "o", "status": "SharedObject.Status.Connect", "message": "Success"},
        {"type": "sharedobject", "name": "o", "value": {}},
    ]
    two.connect()
    changed = {
        "type": "sharedobject",
        "name": "o",
        "events": [{"subtype": 4, "attribute": "n", "value": [1, {"a": None}]}],
    }
    assert one.set("n", [1, {"a": None}]) == [changed]
    assert two.got[-1] == changed
    sent = {"type": "sharedobject", "name": "o", "events": [{"subtype": 6, "method": "m", "value": {"x": 1}}]}
    assert two.ask(SharedObjectAction.SEND, name="o", method="m", message={"x": 1}) == [sent]
    assert one.ask(SharedObjectAction.SEND, name="o", call="m", params={"x": 1}) == [sent], "SDK 5 says call and params"
    assert two.got[-2:] == [sent, sent]
    assert two.ask(SharedObjectAction.CLOSE, name="o")[0]["status"] == "SharedObject.Status.Disconnect"
    one.set("n", 2)
    assert two.got[-1]["status"] == "SharedObject.Status.Disconnect"


def test_a_late_member_gets_the_state_and_the_last_takes_it_along(objects: SharedObjects) -> None:
    """Whoever joins later gets every property; without members the object and its properties are gone."""
    one, two = Somebody(objects), Somebody(objects, "a2")
    one.connect()
    one.set("a", 1)
    one.set("b", "x")
    one.set("a", None)
    assert one.got[-1]["events"] == [{"subtype": 9, "attribute": "a"}]
    assert two.connect()[-1]["value"] == {"b": "x"}
    (state,) = objects.states()
    assert (state.version, state.members, state.scope, state.customer_scope) == (3, ["a1", "a2"], "live", "acme")
    objects.leave_all(one)
    assert objects.joined(two)
    objects.leave_all(two)
    assert len(objects) == 0
    assert two.connect()[-1]["value"] == {}


def test_scopes_are_apart(objects: SharedObjects) -> None:
    """The same name in another scope or customer scope is another object."""
    here = Somebody(objects)
    others = [Somebody(objects, "a2", ("acme", "other")), Somebody(objects, "a3", ("umbrella", "live"))]
    for each in (here, *others):
        each.connect()
    here.set("n", 1)
    for each in others:
        assert each.connect()[-1]["value"] == {}
    assert len(objects) == 3


@pytest.mark.parametrize(
    "value",
    [
        b"1",
        b"null",
        b"{}",
        b'{"name":""}',
        b'{"name":1}',
        b'{"name":"a\\nb"}',
        b'{"name":"' + b"x" * 300 + b'"}',
        b"[" * 9999,
    ],
)
def test_what_names_no_object_is_refused(objects: SharedObjects, value: bytes) -> None:
    """A request without a usable name fails with a reason in one line, whatever it is."""
    (reply,) = Somebody(objects).ask_raw(SharedObjectAction.CONNECT, value)
    assert reply["message"] == "Fail"
    assert reply["reason"].endswith(".")
    assert "\n" not in reply["reason"]
    assert len(objects) == 0


def test_who_has_not_joined_changes_nothing(objects: SharedObjects) -> None:
    """Set and send need a connected object."""
    one, two = Somebody(objects), Somebody(objects, "a2")
    one.connect()
    assert two.set("n", 1)[0]["message"] == "Fail"
    assert "sharedObjectConnect" in two.ask(SharedObjectAction.SEND, name="o", method="m")[0]["reason"]
    assert len(one.got) == 2


def test_bounds(objects: SharedObjects, time: FakeTime) -> None:
    """Objects, members, properties, bytes and changes a second are bounded; what is too much is refused, all else goes on."""
    one = Somebody(objects)
    one.connect()
    assert one.set("n", "x" * MAX_VALUE)[0]["reason"] == f'"value" is longer than {MAX_VALUE} bytes.'
    for number in range(MAX_PROPERTIES):
        time.now += 1
        assert "events" in one.set(str(number), number)[0]
    assert "properties already" in one.set("more", 1)[0]["reason"]
    assert "events" in one.set("0", "again")[0]
    long = "x" * (MAX_VALUE - 2)
    time.now += 10
    refusals = [one.set(str(number), long)[0].get("reason", "") for number in range(MAX_BYTES // MAX_VALUE + 1)]
    assert f"longer than {MAX_BYTES} bytes" in refusals[-1]
    time.now += 10
    asked = [one.set("0", number) for number in range(int(BURST) + 1)]
    assert f"{RATE:g} a second" in asked[-1][0]["reason"]
    time.now += 1
    assert "events" in one.set("0", 1)[0]
    for number in range(MAX_JOINED - 1):
        one.connect(f"more-{number}")
    assert "joined" in one.connect("one-more")[0]["reason"]
    for number in range(MAX_MEMBERS - 1):
        Somebody(objects, f"m{number}").connect()
    assert "members already" in Somebody(objects, "late").connect()[0]["reason"]


def test_the_number_of_objects_is_bounded(objects: SharedObjects) -> None:
    """No client makes more objects than an origin keeps."""
    for number in range(MAX_OBJECTS):
        Somebody(objects, f"m{number}").connect(str(number))
    late = Somebody(objects, "late")
    assert late.ask(SharedObjectAction.GET_REMOTE, name="one-more")[0]["message"] == "Fail"
    assert late.connect("one-more")[0]["message"] == "Fail"
    assert late.connect("7")[0]["message"] == "Success"
