"""Every call of ``/api/v1``, as data: its parameters and its answers.

The OpenAPI document is made of it.

A test walks the router and compares: a route that is not here, or an entry without a route, fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smproxy.capture.pcapng import MEDIA_TYPE
from smproxy.manager.rest import sessions as session_routes
from smproxy.manager.rest import wait as wait_routes
from smproxy.manager.rest.captures import MAX_SECONDS
from smproxy.signaling.hook_names import NAMES, STATES

#: A JSON schema, or the name of a component.
Schema = dict[str, Any] | str

JSON = "application/json"
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SESSION: Schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}


PARTIAL: Schema = {
    "type": "array",
    "items": TEXT,
    "description": "In a cluster: the nodes that did not answer in time, so that what is theirs is missing.",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query."""

    name: str
    what: str
    schema: Schema = field(default_factory=lambda: TEXT)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its schema, and its media type where that is not JSON."""

    what: str
    schema: Schema | None = None
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call.

    ``errors`` are statuses whose answer is the usual error; 401 and 403 every call may have.
    """

    method: str
    path: str
    tag: str
    summary: str
    answers: Mapping[int, Response]
    query: tuple[Query, ...] = ()
    body: Schema | None = None
    errors: tuple[int, ...] = ()


def one_of(values: tuple[str, ...]) -> Schema:
    """Return the schema of a text that is one of these."""
    return {"type": "string", "enum": list(values)}


def listed(values: tuple[str, ...]) -> Schema:
    """Return the schema of one or more of these, with commas between."""
    return {"type": "string", "description": "One or more of these, with commas between.", "examples": list(values)}


def number(least: float, most: float, default: float, kind: str = "integer") -> Schema:
    """Return the schema of a number with bounds."""
    return {"type": kind, "minimum": least, "maximum": most, "default": default}


def array(item: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{item}"} if isinstance(item, str) else item}


def wrapped(name: str, item: Schema, *, gathered: bool = False) -> Schema:
    """Return the schema of an object with a list in it.

    A ``gathered`` list is of all nodes of a cluster.
    """
    partial = {"partial": PARTIAL} if gathered else {}
    return {"type": "object", "required": [name], "properties": {name: array(item), **partial}}


def _get(path: str, tag: str, summary: str, answer: Response, *query: Query, errors: tuple[int, ...] = ()) -> Operation:
    return Operation(
        method="GET", path=path, tag=tag, summary=summary, answers={200: answer}, query=query, errors=errors
    )


_SCOPE = Query("customerScope", "Only of this customer scope.")
_ID = Query("id", "Only connections with this id.")
_APP = Query("app", "Only of this app.")
_ROLE = Query("role", "Only of this role.", one_of(session_routes.ROLES))
_STATES = tuple(state for states in STATES.values() for state in states)

SESSIONS = (
    _get(
        "/sessions", "sessions", "Sessions, the newest first, also those that have ended",
        Response("The newest sessions that match, and how many match.", "SessionList"),
        Query("state", "Only in one of these states.", listed(session_routes.STATES)), _ROLE, _ID, _SCOPE, _APP,
        Query("limit", "How many at most.", number(1, session_routes.MAX_LIMIT, session_routes.DEFAULT_LIMIT)),
        errors=(400,),
    ),
    _get("/sessions/{session}", "sessions", "One session", Response("The session.", "SessionView"), errors=(400, 404)),
    Operation(
        method="DELETE", path="/sessions/{session}", tag="sessions", summary="End a session; its client is told",
        answers={200: Response("It is ended, with its hooks.", "Kicked")}, errors=(400, 404, 409),
    ),
    _get(
        "/sessions/{session}/frames", "sessions", "What was said in a session, one JSON object a line",
        Response("Lines, the oldest first.", {"type": "string", "contentMediaType": "application/jsonl"}, "application/jsonl"),
        Query("header", "Whether the first line says whose record it is, as in an export.", FLAG), errors=(400, 404),
    ),
    _get(
        "/sessions/{session}/timeline", "sessions", "Signaling, hooks, deliveries and faults of a session in the order of time",
        Response("The entries, the oldest first.", "TimelineView"), errors=(400, 404),
    ),
    _get(
        "/sessions/{session}/capture.pcapng", "sessions", "The packets of a session, decrypted, for Wireshark",
        Response("A file in the format pcapng.", {"type": "string", "contentMediaType": MEDIA_TYPE}, MEDIA_TYPE),
        Query("seconds", "Go on for so long, and begin now if nothing was captured yet.", number(0, MAX_SECONDS, 0, "number")),
        errors=(400, 404, 409, 503),
    ),
)  # fmt: skip

STREAMS = (
    _get("/streams", "streams", "The live streams, with the numbers of their media", Response("The streams.", "StreamList"),
         errors=(400,)),
    _get("/streams/{scope}/{name}", "streams", "One live stream", Response("The stream.", "StreamView"), errors=(400, 404)),
    _get("/streams/{scope}/{name}/thumbnail.png", "streams", "The last key frame of a live stream",
         Response("The picture.", {"type": "string", "contentMediaType": "image/png"}, "image/png"), errors=(404, 503)),
    _get("/ice-servers", "streams", "The STUN and TURN servers that clients are to use",
         Response("An RTCConfiguration.", "IceServerList"), errors=(400,)),
    _get("/origins", "streams", "The registered origins and what they carry", Response("The origins.", "OriginList"),
         errors=(400,)),
    _get("/shared-objects", "streams", "The shared objects, with their properties and members",
         Response("The shared objects.", "SharedObjectList"), errors=(400,)),
    _get("/interstitials", "streams", "The interstitials that are shown or wait for their time",
         Response("The interstitials.", "InterstitialList"), errors=(400,)),
    _get("/conferences", "streams", "The conferences, with their participants",
         Response("The conferences.", "ConferenceList"), errors=(400,)),
)  # fmt: skip

_NODE_ADDED: Schema = {
    "type": "object",
    "properties": {
        "region": {"type": ["string", "null"]},
        "role": one_of(("origin", "edge")),
        "start": {"type": ["number", "null"], "minimum": 0},
    },
    "additionalProperties": False,
}
_CHANGED = {200: Response("The node, changed.", "NodeView")}

NODES = (
    _get("/nodes", "nodes", "The nodes, their states and what they carry", Response("The nodes.", "NodeList"), errors=(400,)),
    Operation(method="POST", path="/nodes", tag="nodes", summary="Add a simulated node", body=_NODE_ADDED,
              answers={201: Response("The node, which is requested.", "NodeView")}, errors=(400, 409)),
    _get("/nodes/{id}", "nodes", "One node", Response("The node.", "NodeView"), errors=(400, 404)),
    Operation(method="DELETE", path="/nodes/{id}", tag="nodes", summary="End a simulated node, with its sessions",
              answers=_CHANGED, errors=(404, 409)),
    Operation(method="POST", path="/nodes/{id}/{action}", tag="nodes",
              summary="Change a node: drain, undrain, sunset, fault or recover",
              query=(Query("seconds", "Until a sunset's end, or until a fault is noticed.", {"type": "number", "minimum": 0}),),
              answers=_CHANGED, errors=(400, 404, 409)),
)  # fmt: skip

_HOOK_FILTERS = (
    _SCOPE, _ID, Query("session", "Only of this session.", SESSION),
    Query("event", "Only this event.", one_of((*STATES, "websocket"))), Query("state", "Only this state."),
    Query("sink", "Only events for this sink."), Query("since", "From this time on, Unix milliseconds.", COUNT),
    Query("until", "Up to this time, Unix milliseconds.", COUNT), Query("after", "After the event with this id.", COUNT),
    Query("before", "Before the event with this id.", COUNT), Query("dead", "Only what a sink gave up.", FLAG),
    Query("newest", "The newest first.", FLAG), Query("internal", "Also events that only other formats tell.", FLAG),
    Query("limit", "How many at most.", number(1, 1000, 100)),
)  # fmt: skip
_SINK = Query("sink", "To this sink only.")
_RESENT = {200: Response("How many deliveries will be made again.", "Resent")}

HOOKS = (
    _get("/hooks", "hooks", "Events of the journal, the oldest first",
         Response("The events.", wrapped("hooks", "JournalledEvent", gathered=True)), *_HOOK_FILTERS,
         Query("deliveries", "With what became of each at every sink.", FLAG), errors=(400, 503)),
    Operation(
        method="GET", path="/hooks/wait", tag="hooks",
        summary="Wait for an event; one that came since the start, or since the latest reset, is answered at once",
        query=(
            Query("event", "One of these events or states.", listed(NAMES)),
            Query("state", "One of these states.", listed(_STATES)), _ID, Query("session", "Only of this session.", SESSION),
            _SCOPE, _APP, _ROLE,
            Query("since", "Only after the event with this uuid, or from this time on in Unix milliseconds."),
            Query("timeout", "Seconds to wait.",
                  number(0, wait_routes.MAX_TIMEOUT, wait_routes.DEFAULT_TIMEOUT, "number")),
        ),
        answers={200: Response("The first event that matches, as it is sent to receivers.", "HookEvent"),
                 408: Response("None came; the nearest and how they differ.", "NotYet")},
        errors=(400, 503),
    ),
    _get("/hooks/dead", "hooks", "Events that a sink gave up",
         Response("The events.", wrapped("hooks", "DetailedEvent", gathered=True)), *_HOOK_FILTERS,
         errors=(400, 503)),
    _get("/hooks/sinks", "hooks", "How each sink is doing", Response("The sinks.", "SinkList")),
    Operation(method="POST", path="/hooks/sinks", tag="hooks", summary="Add a sink until the next start", body="SinkAsked",
              answers={201: Response("The sink, which gets what is published from now on.", "SinkStatus")},
              errors=(400, 409, 503)),
    Operation(method="DELETE", path="/hooks/sinks/{sink}", tag="hooks",
              summary="Remove a sink; what it has not got by then it never gets",
              answers={204: Response("It is removed.")}, errors=(404, 503)),
    Operation(method="POST", path="/hooks/trigger", tag="hooks", summary="Send a synthetic event", body="Trigger",
              answers={200: Response("The event.", "HookEvent")}, errors=(400, 503)),
    Operation(method="POST", path="/hooks/dead/resend", tag="hooks", summary="Deliver every dead letter again",
              query=(_SINK,), answers=_RESENT, errors=(404, 503)),
    _get("/hooks/{uuid}", "hooks", "One event, with every attempt to deliver it", Response("The event.", "DetailedEvent"),
         errors=(404, 503)),
    Operation(method="POST", path="/hooks/{uuid}/resend", tag="hooks", summary="Deliver an event again",
              query=(_SINK,), answers=_RESENT, errors=(404, 503)),
)  # fmt: skip

_NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
_ANY: Schema = {"type": "object"}
_MATCH: Schema = {
    "type": "object",
    "properties": dict.fromkeys(("id", "customerScope", "role", "app"), _NULLABLE_TEXT),
    "additionalProperties": False,
}
_FAULT_ASKED: dict[str, Any] = {
    "type": "object",
    "required": ["fault"],
    "properties": {
        "fault": TEXT,
        "parameters": _ANY,
        "match": _MATCH,
        "count": {"type": ["integer", "null"], "minimum": 1},
        "probability": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
        "seed": {"type": ["integer", "null"]},
        "ttl": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "additionalProperties": False,
}
_FAULT: Schema = {
    "type": "object",
    "required": ["id", "fault", "parameters", "match", "active", "used", "injected"],
    "properties": {
        **_FAULT_ASKED["properties"],
        "id": TEXT,
        "active": FLAG,
        "used": COUNT,
        "injected": COUNT,
        "left": {"type": ["number", "null"], "description": "Seconds until it ends by itself."},
    },
}
_FAULT_KIND: Schema = {
    "type": "object",
    "required": ["fault", "layer", "effect", "parameters"],
    "properties": {"fault": TEXT, "layer": TEXT, "effect": TEXT, "parameters": array(_ANY)},
}
_INJECTION: Schema = {
    "type": "object",
    "required": ["at", "id", "fault", "session", "connectionId", "customerScope", "detail"],
    "properties": {
        "at": COUNT,
        "id": TEXT,
        "fault": TEXT,
        "session": {"type": ["integer", "null"]},
        "connectionId": _NULLABLE_TEXT,
        "customerScope": _NULLABLE_TEXT,
        "detail": TEXT,
    },
}


_REMOVED: Schema = {"type": "object", "required": ["removed"], "properties": {"removed": COUNT}}

FAULTS = (
    _get("/faults", "faults", "The faults that are switched on", Response("The faults.", wrapped("faults", _FAULT))),
    Operation(method="POST", path="/faults", tag="faults", summary="Switch a fault on", body=_FAULT_ASKED,
              query=(Query("as", "How it is called, else it gets a name."),),
              answers={201: Response("The fault.", _FAULT)}, errors=(400,)),
    Operation(method="DELETE", path="/faults", tag="faults", summary="Switch all faults off",
              answers={200: Response("How many there were.", _REMOVED)}),
    _get("/faults/kinds", "faults", "The faults that there are, and their parameters",
         Response("The kinds.", wrapped("kinds", _FAULT_KIND))),
    _get("/faults/log", "faults", "What faults have done, the latest last",
         Response("The log.", wrapped("log", _INJECTION, gathered=True))),
    Operation(method="DELETE", path="/faults/{id}", tag="faults", summary="Switch a fault off",
              answers={200: Response("It is off.", _REMOVED)}, errors=(404,)),
)  # fmt: skip


def _headless(role: str, kind: str) -> tuple[Operation, ...]:
    view, path = f"Headless{kind}View", f"/{role}s"
    return (
        _get(path, "clients", f"The {role}s that the server runs, the oldest first",
             Response(f"The {role}s, ended ones too.", f"Headless{kind}List"), errors=(400,)),
        Operation(method="POST", path=path, tag="clients",
                  summary=f"Start a headless {role}; the answer comes when it is live or has failed",
                  body=f"{kind}Asked", answers={201: Response("It is live, or has failed.", view)}, errors=(400, 503)),
        _get(f"{path}/{{id}}", "clients", f"One {role} that the server runs", Response("How it is.", view), errors=(400, 404)),
        Operation(method="DELETE", path=f"{path}/{{id}}", tag="clients", summary=f"End a headless {role}, and forget it",
                  query=(Query("how", "As a page that ends its stream, a tab that is closed, or a machine that is lost.",
                               one_of(("leave", "close", "vanish"))),),
                  answers={204: Response("It has ended.")}, errors=(400, 404, 503)),
        Operation(method="POST", path=f"{path}/{{id}}/mute", tag="clients",
                  summary=f"Mute tracks of a headless {role}, or go on with them",
                  body="MuteAsked", answers={200: Response("The client.", view)}, errors=(400, 404, 409)),
    )  # fmt: skip


CLIENTS = (*_headless("publisher", "Publisher"), *_headless("subscriber", "Subscriber"))

_MEDIA = Response(
    "The file, or the part that Range asks for.", {"type": "string", "contentMediaType": "video/webm"}, "video/webm"
)
_FILE: Schema = {
    "type": "object",
    "required": ["file", "size", "modifiedAt", "url", "durationMs", "codecs"],
    "properties": {
        "file": TEXT,
        "size": COUNT,
        "modifiedAt": COUNT,
        "url": TEXT,
        "durationMs": {"type": ["integer", "null"], "minimum": 0},
        "codecs": {"type": "array", "items": TEXT},
    },
}

RECORDINGS = (
    _get("/recordings", "recordings", "The recordings, the newest first",
         Response("The files.", wrapped("recordings", _FILE, gathered=True))),
    Operation(method="GET", path="/recordings/{file}", tag="recordings", summary="A recorded file",
              answers={200: _MEDIA, 206: _MEDIA}, errors=(404,)),
    Operation(method="DELETE", path="/recordings/{file}", tag="recordings", summary="Delete a recording",
              answers={200: Response("It is deleted.", {"type": "object"})}, errors=(404, 500)),
)  # fmt: skip

CONTROL = (
    Operation(
        method="POST", path="/reset", tag="control", summary="End every session and forget everything: for the next test",
        query=(
            Query("timeout", "Seconds for connections to end and hooks to be delivered.", number(0, 30, 5, "number")),
            Query("hooks", "What becomes of the journal.", one_of(("forget", "keep"))),
            Query("faults", "What becomes of the faults.", one_of(("forget", "keep"))),
            Query("sinks", "What becomes of sinks that were added since the start.", one_of(("forget", "keep"))),
        ),
        answers={200: Response("What was ended and forgotten.", "ResetView")}, errors=(400, 503),
    ),
    _get("/feed", "control", "What happens, as server-sent events",
         Response("Events without end.", {"type": "string", "contentMediaType": "text/event-stream"}, "text/event-stream"),
         errors=(503,)),
    _get("/openapi.json", "control", "This document", Response("OpenAPI 3.1.", {"type": "object"})),
)  # fmt: skip

OPERATIONS: tuple[Operation, ...] = (
    *SESSIONS, *STREAMS, *NODES, *CLIENTS, *HOOKS, *FAULTS, *RECORDINGS, *CONTROL,
)  # fmt: skip
