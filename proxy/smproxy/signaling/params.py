"""Connection parameters: what a publishing page puts into the URL of its WebSocket.

Source: Red5, "Publishing over Stream Manager with Webhook Integration". The vendor SDK escapes the values but neither the
keys nor ``id``, and stringifies whatever a page gave it, so ``undefined``, ``null`` and ``[object Object]`` arrive for real.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from yarl import URL

from smproxy.signaling.payloads import Connection, Role, RouteError, Transport

#: What JavaScript makes of a value that a page did not have.
NOT_SUPPLIED = frozenset({"", "undefined", "null", "[object Object]"})

NAME_LIMIT = 255  # characters of id, username, customerScope, app, context
META_DEPTH = 64  # levels of nesting: what hooks and their receivers can be expected to take
META_LIMIT = 4096  # bytes of meta as UTF-8
SIMULATE_LIMIT = 1024  # characters of simulate

#: Parameters that are addressed to the proxy; all others travel on to the origin as they came.
_FOR_PROXY = frozenset({"host", "app", "context", "simulate"})

#: What is not part of a ``repr``.
_SECRET = frozenset({"password", "origin_query"})


class ParamError(ValueError):
    """A connection parameter that cannot be accepted.

    ``parameter`` and ``value`` say which and what, ``problem`` why and ``hint`` what to do about it; ``connection`` holds what
    could be read all the same, for the hook that tells of the refusal. ``route_error``: there is no origin for it.
    """

    connection: Connection
    route_error: RouteError | None = None

    def __init__(self, parameter: str, value: str | None, problem: str, hint: str = "") -> None:
        self.parameter = parameter
        self.value = value
        self.problem = problem
        self.hint = hint
        super().__init__(f"{parameter} {problem}")


class ConnectionParams(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one connection, checked.

    ``app`` and ``context`` come without outer slashes; ``host`` is ``None`` when the client leaves the choice to the manager.
    ``password`` is for the origin alone and therefore not part of the ``repr``. ``simulate`` names faults
    (:mod:`smproxy.faults`) that the client asks for. ``customer_scope_given``: ``customer_scope`` is the client's own.
    ``region`` is where the origin is to be when there is no ``host``, with ``strict`` nowhere else.
    """

    id: str
    app: str
    context: str | None = None
    host: str | None = None
    username: str | None = None
    password: str | None = None
    customer_scope: str | None = None
    recording: bool = False
    meta: dict[str, Any] | None = None
    role: Role = Role.PUBLISHER
    transport: Transport = "websocket"
    simulate: str | None = None
    customer_scope_given: bool = True
    region: str | None = None
    strict: bool = False
    origin_query: str = ""

    def __repr__(self) -> str:
        known = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _SECRET)
        return f"{type(self).__name__}({', '.join(known)})"

    @classmethod
    def from_url(
        cls,
        url: URL,
        *,
        default_app: str = "live",
        customer_scope_required: bool = True,
        default_customer_scope: str | None = None,
    ) -> ConnectionParams:
        """Read the parameters of ``url``.

        Without a ``customerScope`` it has ``default_customer_scope``, unless one is required.

        Raises:
            ParamError: a parameter is missing or unusable; the first such in the order of this method.
        """
        return cls.from_query(
            url.raw_query_string,
            default_app=default_app,
            customer_scope_required=customer_scope_required,
            default_customer_scope=default_customer_scope,
        )

    @classmethod
    def from_query(
        cls,
        raw_query: str,
        *,
        default_app: str = "live",
        customer_scope_required: bool = True,
        default_customer_scope: str | None = None,
    ) -> ConnectionParams:
        """Read the parameters of a percent-encoded query, as :meth:`from_url` does.

        Raises:
            ParamError: as :meth:`from_url`.
        """
        pairs = _split(raw_query)
        reader = _Reader(pairs)
        stream_id = reader.name("id", required="give the stream name")
        username = reader.name("username")
        scope_hint = (
            "the page must send it, or start without --customer-scope required" if customer_scope_required else None
        )
        customer_scope = reader.shared_name("customerScope", required=scope_hint)
        customer_scope_given = "customerscope" in reader.supplied
        if not customer_scope_given:
            customer_scope = default_customer_scope
        recording = reader.flag("recording")
        meta = reader.json_object("meta")
        host = reader.host("host")
        app = reader.scope("app") or default_app
        context = reader.scope("context")
        supplied = reader.supplied
        region = supplied.get("region") or supplied.get("subgroup")
        simulate = reader.text("simulate", SIMULATE_LIMIT)
        role = Role.SUBSCRIBER if stream_id and stream_id.startswith("subscriber-") else Role.PUBLISHER
        if reader.refusal:
            reader.refusal.connection = Connection(
                id=stream_id,
                username=username,
                customer_scope=customer_scope,
                recording=recording,
                meta=meta,
                app=app,
                role=role,
            )
            raise reader.taken_refusal()
        assert stream_id is not None
        return cls(
            id=stream_id,
            app=app,
            context=context,
            host=host,
            username=username,
            password=supplied.get("password"),
            customer_scope=customer_scope,
            recording=recording,
            meta=meta,
            role=role,
            simulate=simulate,
            customer_scope_given=customer_scope_given,
            region=region,
            strict=supplied.get("strict", "").lower() == "true",
            origin_query="&".join([raw for key, raw in pairs if key not in _FOR_PROXY]),
        )

    @property
    def scope(self) -> str:
        """The scope that the stream lives in: ``app`` or ``app/context``."""
        return f"{self.app}/{self.context}" if self.context else self.app

    @property
    def connection(self) -> Connection:
        """The part of these parameters that hooks contain."""
        return Connection(
            id=self.id,
            username=self.username,
            customer_scope=self.customer_scope,
            recording=self.recording,
            meta=self.meta,
            app=self.app,
            role=self.role,
            transport=self.transport,
        )

    def with_origin_query(self, values: Mapping[str, str]) -> ConnectionParams:
        """Return these parameters with other values in the query for the origin."""
        replaced = {key.lower() for key in values}
        kept = [raw for key, raw in _split(self.origin_query) if key not in replaced]
        kept += [f"{key}={quote(value, safe='')}" for key, value in values.items()]
        return msgspec.structs.replace(self, origin_query="&".join(kept))

    @property
    def origin_target(self) -> str:
        """The request target on the origin.

        The scope as path, and every parameter that was not meant for the proxy.
        """
        return f"/{quote(self.scope, safe='/')}/?{self.origin_query}"


class _Reader:
    """Reads the supplied values by key without regard to case, and keeps the first refusal.

    Of a repeated key the last counts, as in the SDK's merging of objects. An unusable value reads as not supplied.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        #: The values as they came, decoded, by key in lower case.
        self.values = {key: unquote(raw.partition("=")[2]) for key, raw in pairs}
        #: Those of them that are not what JavaScript prints for nothing.
        self.supplied = {key: value for key, value in self.values.items() if value not in NOT_SUPPLIED}
        self.refusal: ParamError | None = None

    def taken_refusal(self) -> ParamError:
        """Return the refusal, to be raised, and forget it.

        An exception that a frame in its traceback knows waits for the cycle collector, with all that those frames have.
        """
        assert self.refusal is not None
        refusal, self.refusal = self.refusal, None
        return refusal

    def refuse(self, key: str, value: str | None, problem: str, hint: str = "") -> None:
        if self.refusal is None:
            self.refusal = ParamError(key, value, problem, hint)

    def name(self, key: str, required: str | None = None) -> str | None:
        """Read a name; ``required`` is the hint for who left it out."""
        value = self.supplied.get(key.lower())
        if value is None:
            if required is not None:
                self.refuse(key, self.values.get(key.lower()), "is missing", required)
        elif len(value) > NAME_LIMIT:
            self.refuse(key, value, f"is longer than {NAME_LIMIT} characters")
        elif not value.isprintable():
            self.refuse(key, value, "has a control character in it")
        else:
            return value
        return None

    def shared_name(self, key: str, required: str | None = None) -> str | None:
        """Read a name that many connections have: they keep one copy."""
        value = self.name(key, required)
        return None if value is None else sys.intern(value)

    def text(self, key: str, limit: int) -> str | None:
        """Read a text of at most ``limit`` characters."""
        value = self.supplied.get(key)
        if value is None or (len(value) <= limit and value.isprintable()):
            return value
        problem = f"is longer than {limit} characters" if len(value) > limit else "has a control character in it"
        self.refuse(key, value, problem)
        return None

    def host(self, key: str) -> str | None:
        """Read a host.

        A literal ``undefined`` is refused: it comes from a page whose REST call failed.
        """
        if key not in self.supplied and (said := self.values.get(key)):
            self.refuse(key, said, "names no host", "the page's REST call for an origin has probably failed")
        host = self.name(key)
        if host is not None and not host.isascii():
            self.refuse(key, host, "is not a host name in ASCII", "write an international name in its xn-- form")
            return None
        return host

    def flag(self, key: str) -> bool:
        value = self.supplied.get(key, "false")
        if value.lower() not in {"true", "false"}:
            self.refuse(key, value, "is neither true nor false")
        return value.lower() == "true"

    def scope(self, key: str) -> str | None:
        """Read a scope path without its outer slashes.

        Pages send ``live``, ``/live`` and ``live/room1``.
        """
        name = self.shared_name(key)
        if name is None or not (path := name.strip("/")):
            return None
        if not is_scope(path):
            self.refuse(key, path, "is not a scope path")
            return None
        return path

    def json_object(self, key: str) -> dict[str, Any] | None:
        text = self.supplied.get(key)
        if text is None:
            return None
        if len(text.encode(errors="surrogatepass")) > META_LIMIT:
            self.refuse(key, text, f"is longer than {META_LIMIT} bytes")
            return None
        try:
            value = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and not deeper_than(value, META_DEPTH):
            return value
        self.refuse(key, text, "is not a JSON object", "send a JSON object in a string")
        return None


def is_scope(path: str) -> bool:
    """Return whether a text is a scope path, without outer slashes."""
    return not any(segment in {"", ".", ".."} for segment in path.split("/"))


def deeper_than(value: Any, levels: int) -> bool:
    """Return whether JSON is nested deeper than that."""
    layer = [value]
    for _ in range(levels):
        children = (
            each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list)
        )
        layer = [child for each in children for child in each]
        if not layer:
            return False
    return True


def _split(raw_query: str) -> list[tuple[str, str]]:
    """Split a raw query into (key in lower case, raw pair).

    Not form decoding: the SDK writes a space as ``%20`` and leaves a plus in ``id`` bare. SDK 13 and later append ``?id=…``
    even to an ``endpoint`` that has a query, which makes a second question mark.
    """
    pairs = [(unquote(raw.partition("=")[0]).lower(), raw) for raw in raw_query.split("&") if raw]
    if "?id=" in raw_query and not any(key == "id" for key, _ in pairs):
        return _split(raw_query.replace("?id=", "&id=", 1))
    return pairs
