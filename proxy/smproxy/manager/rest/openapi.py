"""``/api/v1/openapi.json``: the control API as an OpenAPI 3.1 document.

It is made from the table of calls and the views.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec
from aiohttp import web

import smproxy
from smproxy.manager.rest.errors import json_response
from smproxy.manager.rest.headless import MuteAsked, PublisherAsked, SubscriberAsked
from smproxy.manager.rest.operations import JSON, OPERATIONS, PARTIAL, SESSION, TEXT, Operation, Response, Schema
from smproxy.manager.rest.query import Parameters
from smproxy.manager.rest.reset import ResetView
from smproxy.manager.rest.sinks import SinkAsked, SinkList
from smproxy.manager.rest.timeline import TimelineView
from smproxy.manager.rest.wait import NotYet
from smproxy.manager.views import (
    ConferenceList,
    HeadlessPublisherList,
    HeadlessSubscriberList,
    IceServerList,
    InterstitialList,
    Kicked,
    NodeList,
    OriginList,
    SessionList,
    SharedObjectList,
    StreamList,
)
from smproxy.signaling.payloads import EVENT_OF, Connection

API = "/api/v1"

_REF = "#/components/schemas/{name}"

_VIEWS: tuple[type, ...] = (
    SessionList,
    StreamList,
    OriginList,
    NodeList,
    IceServerList,
    SharedObjectList,
    InterstitialList,
    ConferenceList,
    Kicked,
    TimelineView,
    ResetView,
    NotYet,
    SinkList,
    SinkAsked,
    HeadlessPublisherList,
    HeadlessSubscriberList,
    PublisherAsked,
    SubscriberAsked,
    MuteAsked,
)

#: Answers that in a cluster are those of all nodes.
_GATHERED = ("SessionList", "StreamList", "OriginList", "NodeList", "SharedObjectList", "InterstitialList",
             "ConferenceList", "HeadlessPublisherList", "HeadlessSubscriberList", "ResetView")  # fmt: skip

_DESCRIPTION = """\
Look at sessions, streams and hooks of a running stream manager, wait for what is to happen, make it fail, and start afresh.
Times are Unix milliseconds unless it says otherwise. With --admin-token a call needs the token."""


def _event(*extra: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of a hook event, with what stands beside it."""
    payloads = [{"$ref": _REF.format(name=payload.__name__)} for payload in EVENT_OF]
    known = {
        "uuid": {"type": "string", "format": "uuid"},
        "node": {"type": "integer"},
        "ts": {"type": "integer"},
        "event": {"enum": list(EVENT_OF.values())},
        "payload": {"anyOf": payloads},
        "seq": {"type": "integer"},
        "connection": {"$ref": _REF.format(name="Connection")},
    }
    return {"type": "object", "required": [*known, *extra], "properties": known | properties}


_DELIVERY = {
    "type": "object",
    "required": ["sink", "state", "tries", "attempts"],
    "properties": {
        "sink": TEXT,
        "state": {"enum": ["pending", "delivered", "dead", "skipped"]},
        "tries": {"type": "integer"},
        "attempts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "outcome", "detail", "tookMs"],
                "properties": {
                    "at": {"type": "integer"},
                    "outcome": {"enum": ["delivered", "retry", "dead", "disabled"]},
                    "detail": TEXT,
                    "tookMs": {"type": "integer"},
                },
            },
        },
    },
}

#: Components that no struct of ours describes.
_WRITTEN: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "required": ["errorMessage", "timestamp"],
        "properties": {"errorMessage": TEXT, "timestamp": {"type": "integer"}},
    },
    "HookEvent": _event(),
    "JournalledEvent": _event("id", id={"type": "integer"}),
    "DetailedEvent": _event(
        "id", "deliveries", id={"type": "integer"}, deliveries={"type": "array", "items": _DELIVERY}
    ),
    "Resent": {"type": "object", "required": ["resent"], "properties": {"resent": {"type": "integer"}}},
    "Trigger": {
        "type": "object",
        "required": ["event"],
        "properties": {"event": TEXT, "params": {"type": "object"}},
        "additionalProperties": False,
    },
}

_ERRORS = {
    400: "The request cannot be understood; the message says what is allowed.",
    401: "The admin token is missing or wrong.",
    403: "A page of another site asks, and there is no admin token.",
    404: "There is no such thing.",
    409: "It does not go with how things are now; the message says why.",
    500: "It went wrong; the log says why.",
    503: "It cannot be had now.",
}


class OpenApi:
    """The document, made once."""

    def __init__(self) -> None:
        self._document = document()

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Return the document."""
        Parameters(request.query, ())
        return json_response(self._document)


def document() -> dict[str, Any]:
    """Make the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(API + operation.path, {})[operation.method.lower()] = _described(operation)
    types = (*_VIEWS, *EVENT_OF, Connection)
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    for name in _GATHERED:
        components[name]["properties"]["partial"] = PARTIAL
    for component in components.values():
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"]).replace("``", "`")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stream manager control API", "version": smproxy.__version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted((components | _WRITTEN).items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "accessToken": {"type": "apiKey", "in": "query", "name": "accessToken"},
            },
        },
        "security": [{}, {"bearer": []}, {"accessToken": []}],
    }


def _described(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": SESSION if name == "session" else TEXT}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += [
        {"name": each.name, "in": "query", "description": each.what, "schema": _schema(each.schema)}
        for each in operation.query
    ]
    responses = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    for status in (*operation.errors, 401, 403):
        responses[str(status)] = _answer(Response(_ERRORS[status], "Error"))
    described: dict[str, Any] = {
        "operationId": _identifier(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": dict(sorted(responses.items())),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": _schema(operation.body)}}}
    return described


def _answer(answer: Response) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.what}
    if answer.schema is not None:
        described["content"] = {answer.media: {"schema": _schema(answer.schema)}}
    return described


def _schema(schema: Schema) -> Any:
    return {"$ref": _REF.format(name=schema)} if isinstance(schema, str) else schema


def _identifier(operation: Operation) -> str:
    """Name a call for generated clients: ``getSessionsSessionFrames``."""
    words = re.findall(r"\w+", operation.path)
    return operation.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
