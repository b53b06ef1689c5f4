"""Connection parameters are read as real pages write them, and refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.signaling.params import META_LIMIT, NAME_LIMIT, ConnectionParams, ParamError
from yarl import URL

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "fixtures/urls.json").read_text())


def read(url: str, **options: Any) -> ConnectionParams:
    """Read the parameters of a URL as it is on the wire."""
    return ConnectionParams.from_url(URL(url, encoded=True), **options)


@pytest.mark.parametrize("case", [case for case in CASES if "accepted" in case], ids=lambda case: case["name"])
def test_good_url(case: dict[str, Any]) -> None:
    """Every good URL of the fixtures gives the parameters, and the request target on the origin, that stand beside it."""
    params = read(case["url"], customer_scope_required=case.get("customer_scope_required", True))
    assert {key: getattr(params, key) for key in case["accepted"]} == case["accepted"]
    if "origin_target" in case:
        assert params.origin_target == case["origin_target"]


@pytest.mark.parametrize("case", [case for case in CASES if "refused" in case], ids=lambda case: case["name"])
def test_bad_url(case: dict[str, Any]) -> None:
    """Every bad URL of the fixtures is refused with the name of the parameter that stands beside it."""
    with pytest.raises(ParamError) as refusal:
        read(case["url"])
    assert refusal.value.parameter == case["refused"]
    assert str(refusal.value).startswith(case["refused"])


@pytest.mark.parametrize("parameter", ["id", "username", "customerScope", "app", "host"])
def test_length_limit(parameter: str) -> None:
    """A name of 255 characters is taken, one of 256 is refused, counted in characters and not in bytes."""
    others = "".join(f"&{key}=x" for key in ("id", "customerScope") if key != parameter)
    letter = "x" if parameter == "host" else "ß"
    assert read(f"ws://h/s?{parameter}={quote(letter * NAME_LIMIT)}{others}")
    with pytest.raises(ParamError, match="longer than 255 characters") as refusal:
        read(f"ws://h/s?{parameter}={quote(letter * (NAME_LIMIT + 1))}{others}")
    assert refusal.value.parameter == parameter


def test_meta_limit() -> None:
    """A meta of 4 KiB is taken, one byte more is refused."""
    text = json.dumps({"k": "x" * (META_LIMIT - 9)})
    assert len(text) == META_LIMIT
    assert read(f"ws://h/s?id=s&customerScope=a&meta={quote(text)}").meta == json.loads(text)
    with pytest.raises(ParamError, match="longer than 4096 bytes"):
        read(f"ws://h/s?id=s&customerScope=a&meta={quote(text + ' ')}")


def test_deeply_nested_meta() -> None:
    """Nesting without end is refused like any other bad meta."""
    with pytest.raises(ParamError) as refusal:
        read("ws://h/s?id=s&customerScope=a&meta=" + quote('{"a":' * 800))
    assert refusal.value.parameter == "meta"


def test_depth_limit() -> None:
    """A meta of 63 lists within its object is taken, one more is refused: hooks must be able to carry it."""
    meta = '{"k":' + "[" * 63 + "]" * 63 + "}"
    assert read("ws://h/s?id=s&customerScope=a&meta=" + quote(meta)).meta == json.loads(meta)
    with pytest.raises(ParamError):
        read("ws://h/s?id=s&customerScope=a&meta=" + quote('{"k":' + "[" * 64 + "]" * 64 + "}"))


def test_password_is_not_shown() -> None:
    """Neither the representation of the parameters nor what hooks tell of them holds the password."""
    params = read("ws://h/s?id=s&customerScope=a&password=hunter2&username=u")
    assert params.password == "hunter2"
    assert "hunter2" not in repr(params)
    assert "hunter2" not in repr(params.connection)


def test_refusal_tells_what_could_be_read() -> None:
    """A refusal carries the parameters that could be read, for its hook, and never an unusable one."""
    with pytest.raises(ParamError) as refusal:
        read("ws://h/s?id=s&customerScope=a&username=u&recording=maybe&meta=%7B%22k%22%3A1%7D&app=live/x")
    connection = refusal.value.connection
    assert (connection.id, connection.username, connection.customer_scope) == ("s", "u", "a")
    assert (connection.recording, connection.meta, connection.app) == (False, {"k": 1}, "live/x")


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
def test_any_query(query: str) -> None:
    """Whatever a query holds, reading it gives parameters or a refusal, and nothing else."""
    try:
        params = read("ws://h/streammanager?" + query.replace("#", ""))
    except ParamError:
        return
    assert params.origin_target.startswith("/")
    assert " " not in params.origin_target


@given(st.dictionaries(st.sampled_from(["id", "username", "customerScope", "token"]), st.text(min_size=1, max_size=40)))
def test_escaped_values_come_back(values: dict[str, str]) -> None:
    """A value that was escaped as the SDK escapes it is read as it was, wherever it is accepted."""
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items() if _encodable(value))
    try:
        params = read(f"ws://h/s?{query}", customer_scope_required=False)
    except ParamError:
        return
    assert params.id == values["id"]
    assert params.origin_query == query


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("query", "scope", "given"),
    [("", "studio", False), ("&customerScope=undefined", "studio", False), ("&customerscope=acme", "acme", True)],
)
def test_default_customer_scope(query: str, scope: str, given: bool) -> None:
    """Who sends no scope has the default one, where none is required, and it is known not to be the client's own."""
    params = read(f"ws://h/s?id=s{query}", customer_scope_required=False, default_customer_scope="studio")
    assert (params.customer_scope, params.customer_scope_given) == (scope, given)
    assert params.connection.customer_scope == scope


def test_an_unusable_scope_is_not_the_default_one() -> None:
    """A scope that cannot be taken is refused, and the hook of the refusal is not told to the default one."""
    with pytest.raises(ParamError) as refusal:
        read("ws://h/s?id=s&customerScope=a%0Ab", customer_scope_required=False, default_customer_scope="studio")
    assert refusal.value.connection.customer_scope is None
