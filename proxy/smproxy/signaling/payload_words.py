"""The fields of a hook's payload as people read them: names in place of the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from smproxy.signaling.payloads import ConnectError, Kind, Reason, RouteError

_NUMBERED: Mapping[str, type[IntEnum]] = {"kind": Kind, "reason": Reason, "error": ConnectError}
#: In the payloads of ``route``.
_OF_ROUTES: Mapping[str, type[IntEnum]] = {"error": RouteError}
#: What stands elsewhere in a line about a hook.
_IDENTITY = frozenset({"session", "state", "event"})


def payload_words(payload: Mapping[str, Any]) -> list[str]:
    """Return ``KEY=VALUE`` of each field that has a value, such as ``reason=node_shutdown``.

    A number that has no name stays one; of the media of a session each number is a field.
    """
    numbered = _OF_ROUTES if str(payload.get("event")).startswith("route_") else _NUMBERED
    words = []
    for key, value in payload.items():
        if key in _IDENTITY or value is None:
            continue
        if key == "media" and isinstance(value, Mapping):
            words += payload_words(value)
        else:
            words.append(f"{key}={_word(numbered.get(key), value)}")
    return words


def _word(names: type[IntEnum] | None, value: Any) -> Any:
    if names is None or type(value) is not int or value not in names._value2member_map_:
        return value
    return names(value).name.lower()
