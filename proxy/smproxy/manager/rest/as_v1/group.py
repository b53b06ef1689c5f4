"""Node groups of Stream Manager 2.0: the only one, ``default``; its sub-groups are regions."""

from __future__ import annotations

from aiohttp import web

from smproxy.manager.access import parameter
from smproxy.manager.origin_registry import Node, OriginChoiceError, OriginRegistry
from smproxy.manager.rest.errors import ApiError

GROUP = "default"

#: Characters of a stream's guid in a path, slashes among them.
GUID = "{path:.+}"


def check_group(request: web.Request) -> None:
    """Check the node group in a path.

    Raises:
        ApiError: 404, there is no such group.
    """
    name = request.match_info["group"]
    if name != GROUP:
        raise ApiError(404, f"There is no node group {name[:100]!r}: there is one, {GROUP}.")


def flag(request: web.Request, name: str, default: bool) -> bool:
    """Read a parameter that is true or false.

    Raises:
        ApiError: 400, it is neither.
    """
    text = parameter(request, name)
    value = {None: default, "": default, "true": True, "false": False}.get(text if text is None else text.lower())
    if value is None:
        raise ApiError(400, f"{name}={(text or '')[:100]!r} is neither true nor false.")
    return value


def choose(request: web.Request, registry: OriginRegistry) -> list[Node]:
    """Return the nodes for a publisher by ``region``, ``subgroup`` and ``strict``, best first.

    Raises:
        ApiError: 404, there is none.
    """
    region = parameter(request, "region") or parameter(request, "subgroup") or None
    strict = flag(request, "strict", False)
    try:
        return registry.ranked(region=region, strict=strict)
    except OriginChoiceError:
        there = f"There is no server in {region!r}." if registry.nodes else "There is no server for this stream."
        raise ApiError(404, there) from None


def endpoint_count(request: web.Request) -> int:
    """Read how many servers are wanted.

    Raises:
        ApiError: 400, the number is none.
    """
    text = parameter(request, "endpoints") or "1"
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0):
        raise ApiError(400, f"endpoints={text[:100]!r} is not a whole number above 0.")
    return int(text)
