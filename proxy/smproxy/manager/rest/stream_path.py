"""A scope and a stream's name in one part of a path, such as ``live/room1/cam``."""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.rest.errors import ApiError
from smproxy.signaling.params import NAME_LIMIT, is_scope


def read_stream_path(request: web.Request, part: str = "path") -> tuple[str, str]:
    """Return scope and name of the stream in a part of a request's path.

    Raises:
        ApiError: 400, it has not both, or is too long.
    """
    return split_guid(request.match_info[part])


def split_guid(guid: str) -> tuple[str, str]:
    """Return scope and name of a stream that is written as ``scope/name``.

    Raises:
        ApiError: 400, it has not both, or is too long.
    """
    path = guid.strip("/")
    scope, _, name = path.rpartition("/")
    if not scope or not name or not is_scope(scope):
        raise ApiError(
            400, f"A stream is written as its scope and its name, such as live/mystream: not {guid[:100]!r}."
        )
    if len(scope) > NAME_LIMIT or len(name) > NAME_LIMIT or not path.isprintable():
        raise ApiError(400, f"A scope and a stream name have at most {NAME_LIMIT} characters, none of them a control.")
    return scope, name
