"""The URL that the vendor SDK opens, character for character as a browser sends it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlunsplit

from smproxy.urls import read_url

#: A value of ``connectionParams``; JavaScript's spelling of it goes on the wire.
ParamValue = str | int | float | bool | None

#: What ``encodeURIComponent`` leaves alone, less the quote, which a browser's URL parser encodes afterwards.
_COMPONENT_SAFE = "-_.!~*()"
#: What a browser's URL parser leaves alone in a query (WHATWG URL, special-query percent-encode set).
_QUERY_SAFE = "!$%&()*+,-./:;=?@[\\]^_`{|}~"


def signaling_url(base: str, stream: str, params: Mapping[str, ParamValue] | None = None) -> str:
    """Build what SDK 5.4 to 12 dials: ``base/?id=stream&k=v…``.

    ``id`` is not encoded by the SDK, so a name with ``&`` injects parameters here too. A query that ``base`` already has
    is kept as it is, in front. Unlike the SDK, ports 8083 and 8081 are not rewritten.

    Raises:
        ValueError: ``base`` is not a ws or wss URL, or a browser could not dial the result.
    """
    try:
        parts = read_url(base, "ws", "wss")
    except ValueError as error:
        raise ValueError(f"the URL must look like ws://host:port/streammanager: {error}") from None
    if parts.fragment or "#" in stream:
        raise ValueError("'#' starts a fragment, which a WebSocket URL cannot have")
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    merged = dict(params or {})
    # The SDK merges the parameters over {id: stream}: a parameter ``id`` takes the place of the stream name.
    override = merged.pop("id", stream)
    identity = _component(override) if "id" in (params or {}) else quote(stream, safe=_QUERY_SAFE)
    query = [parts.query] if parts.query else []
    if not any(item.partition("=")[0] == "id" for item in parts.query.split("&")):
        query.append(f"id={identity}")
    if merged:
        query.append(write_params(merged))
    return urlunsplit((parts.scheme, parts.netloc, path, "&".join(query), ""))


def write_params(params: Mapping[str, ParamValue]) -> str:
    """Write connection parameters as the SDK writes them into a query."""
    return "&".join(f"{quote(key, safe=_QUERY_SAFE)}={_component(value)}" for key, value in params.items())


def _component(value: ParamValue) -> str:
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = str(value)
    return quote(text, safe=_COMPONENT_SAFE)
