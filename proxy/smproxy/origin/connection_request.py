"""What a client's WebSocket upgrade asks for. Sans-I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

_MAX_SCOPE = 512
_MAX_ATTEMPT = 128


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """What an upgrade request asks for."""

    scope: str
    client_id: str
    attempt: str | None
    recording: bool = False
    #: All of it, with its secrets.
    url: str = field(default="", repr=False)


def read_connection_request(path: str, attempt: str | None) -> ConnectionRequest | None:
    """Read the request target; ``None`` when it names no application."""
    try:
        where, _, search = path.partition("?")
        scope = "/".join(segment for segment in unquote(where).split("/") if segment)
        pairs = parse_qsl(search.replace("+", "%2B"), max_num_fields=200)
        query = dict(reversed(pairs))
    except ValueError:
        return None
    if not scope or len(scope) > _MAX_SCOPE or not scope.isprintable():
        return None
    # Of a repeated key the last counts, as for the manager.
    recording = {key.lower(): value for key, value in pairs}.get("recording", "").lower() == "true"
    return ConnectionRequest(scope, query.get("id", ""), read_attempt(attempt), recording, path)


def read_attempt(token: str | None) -> str | None:
    """Return the token of an attempt; ``None`` when it is none."""
    if token is not None and 0 < len(token) <= _MAX_ATTEMPT and token.isascii() and token.isprintable():
        return token
    return None


def random_attempt(rng: random.Random) -> str:
    """Make the token of a client that no manager announced."""
    return f"direct-{rng.getrandbits(64):016x}"
