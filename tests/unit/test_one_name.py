"""One thing has one name, in the control API and on the command line (T13)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

import pytest
from smproxy.cli import make_parser
from smproxy.manager.rest.openapi import document

#: What is handed on as hooks have it, whose format is not ours.
HOOKS = {"LocalTrackPayload", "RoutePayload", "SessionPayload", "StatsPayload"}
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")


def properties(schema: Any) -> Iterator[str]:
    """Yield the names of all properties within a schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for each in schema.values():
            yield from properties(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from properties(each)


def calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each call of the API and what is said of it."""
    for path, methods in document()["paths"].items():
        for method, call in methods.items():
            yield f"{method.upper()} {path}", call


def test_keys_and_parameters_are_in_camel_case() -> None:
    """Of everything that the API takes and answers, beside the payloads of hooks."""
    described = document()
    schemas = [schema for name, schema in described["components"]["schemas"].items() if name not in HOOKS]
    names = {*properties(schemas), *properties(described["paths"])}
    names |= {
        parameter["name"] for _, call in calls() for parameter in call.get("parameters", ()) if "name" in parameter
    }
    assert {"customerScope", "errorMessage"} <= names
    assert {name for name in names if not CAMEL.fullmatch(name)} == set()


def test_every_answer_is_an_object() -> None:
    """A listing is wrapped: ``{"hooks": [...]}``."""
    described = document()
    seen = 0
    for name, call in calls():
        for status, response in call["responses"].items():
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            if schema is not None:
                seen += 1
                reference = schema.get("$ref", "").rpartition("/")[2]
                schema = described["components"]["schemas"][reference] if reference else schema
                assert schema["type"] == "object", (name, status)
    assert seen > 20


@pytest.mark.parametrize("spelling", ["scope", "customer", "customerscope"])
def test_the_customers_scope_has_one_name(spelling: str) -> None:
    """``customerScope`` where there are parameters, ``--customer-scope`` where there are options, and no other."""
    given = [each for _, call in calls() for each in call.get("parameters", ())]
    parameters = {each["name"] for each in given if each.get("in") == "query"}
    assert "customerScope" in parameters
    assert spelling not in parameters
    options = set(all_options(make_parser()))
    assert "--customer-scope" in options
    assert f"--{spelling}" not in options


def all_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a command and of those below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from all_options(below)
