"""What a client asks for and the credentials it brings, as every scheme sees them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import unquote_plus

from smproxy.signaling.params import NOT_SUPPLIED, ConnectionParams
from smproxy.signaling.payloads import Role, Transport

Action: TypeAlias = Literal["publish", "subscribe"]

#: Parameters of the query that are told to a back end, and characters of each.
_MAX_PARAMETERS = 100
_MAX_VALUE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """One client that wants to publish or subscribe.

    ``stream`` is the bare name, or ``None`` for a subscriber on the WebSocket, which names its stream only later.
    ``parameters`` are those of the query, the credentials among them.
    """

    action: Action
    client_id: str
    stream: str | None
    app: str
    scope: str
    customer_scope: str | None
    transport: Transport
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    #: Whether the token came in an ``Authorization`` header.
    bearer: bool = False
    address: str = ""
    origin: str | None = None
    parameters: dict[str, str] = field(default_factory=dict, repr=False)

    def same_client(self, other: AuthRequest) -> bool:
        """Return whether this is the other client come back, with the same credentials."""
        secrets = [f"{each.password}\0{each.token}".encode(errors="replace") for each in (self, other)]
        return self._who == other._who and hmac.compare_digest(*secrets)

    @property
    def _who(self) -> tuple[str | None, ...]:
        return self.action, self.scope, self.customer_scope, self.client_id, self.username


def make_request(
    params: ConnectionParams,
    raw_query: str,
    *,
    stream: str | None,
    bearer: str | None = None,
    address: str = "",
    origin: str | None = None,
) -> AuthRequest:
    """Return what a connection asks for.

    As the vendor does, form-decode values and strip a ``?`` from keys.
    """
    pairs = [raw.partition("=") for raw in raw_query.split("&") if raw][:_MAX_PARAMETERS]
    parameters = {unquote_plus(key).lstrip("?"): unquote_plus(value)[:_MAX_VALUE] for key, _, value in pairs}
    supplied = {key.lower(): value for key, value in parameters.items() if value.strip() not in NOT_SUPPLIED}
    return AuthRequest(
        action="subscribe" if params.role is Role.SUBSCRIBER else "publish",
        client_id=params.id,
        stream=stream,
        app=params.app,
        scope=params.scope,
        customer_scope=params.customer_scope,
        transport=params.transport,
        username=supplied.get("username", ""),
        password=supplied.get("password", ""),
        token=bearer or supplied.get("token", ""),
        bearer=bearer is not None,
        address=address,
        origin=origin,
        parameters=parameters,
    )
