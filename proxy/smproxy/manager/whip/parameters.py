"""Connection parameters of a WHIP or WHEP request, from its path, query and bearer token."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from urllib.parse import quote, unquote

import msgspec
from yarl import URL

from smproxy.auth.grant import Grant
from smproxy.manager.whip.problem import Problem
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import Role
from smproxy.signaling.whip_urls import Endpoint

#: Parameters that the path has said already, or that are the name of the stream.
_REPLACED = frozenset({"id", "requestid"})


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What a request for a new session is about. ``stream`` is published, or watched."""

    params: ConnectionParams
    stream: str

    def granted(self, grant: Grant) -> Request:
        """Return what it is about once a grant is applied."""
        return Request(grant.apply(self.params), grant.name or self.stream)


def read_request(
    endpoint: Endpoint,
    url: URL,
    bearer: str | None,
    *,
    default_app: str,
    customer_scope_required: bool,
    default_customer_scope: str | None = None,
    make_id: Callable[[], str],
) -> Request:
    """Return the parameters of a request for a new session.

    The path's name counts, whatever ``id`` the query has. A subscriber is known by its ``requestId``, else by an id from
    ``make_id``, since many may watch one stream.

    Raises:
        Problem: the stream has no name.
        ParamError: a parameter cannot be accepted.
    """
    pairs = [raw for raw in url.raw_query_string.split("&") if raw]
    values = {unquote(key).lower(): unquote(value) for key, _, value in (raw.partition("=") for raw in pairs)}
    name = endpoint.name
    if name is None:
        name = values.get("stream") if endpoint.name_in_query else bearer
    if not name:
        where = "the parameter stream" if endpoint.name_in_query else "Authorization: Bearer NAME"
        raise Problem(400, f"The stream has no name: {endpoint.path} takes it from {where}.")
    publishes = endpoint.protocol == "whip"
    identity = name if publishes else values.get("requestid") or make_id()
    said = _REPLACED | {"stream"} if endpoint.name_in_query else _REPLACED
    if endpoint.scope is not None:
        said |= {"app", "context"}
    kept = [raw for raw in pairs if unquote(raw.partition("=")[0]).lower() not in said]
    kept.append(f"id={quote(identity, safe='')}")
    if endpoint.scope is not None:
        kept.append(f"app={quote(endpoint.scope, safe='/')}")
    if "requestid" in values:
        kept.append(f"requestId={quote(values['requestid'], safe='')}")
    params = ConnectionParams.from_url(
        URL(f"/?{'&'.join(kept)}", encoded=True),
        default_app=default_app,
        customer_scope_required=customer_scope_required,
        default_customer_scope=default_customer_scope,
    )
    role = Role.PUBLISHER if publishes else Role.SUBSCRIBER
    return Request(msgspec.structs.replace(params, role=role, transport=endpoint.protocol.value), name)


def read_bearer(authorization: str) -> str | None:
    """Return the token of an ``Authorization`` header (RFC 6750, section 2.1)."""
    scheme, _, token = authorization.partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None
