"""What a back end may add when it allows, and what that changes of a client's parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from smproxy.signaling.params import META_DEPTH, META_LIMIT, NAME_LIMIT, ConnectionParams, deeper_than
from smproxy.signaling.payloads import Role

#: The parameter by which an origin gets the answer's ``url``: the name of the vendor's own attribute.
SIGNED_URL = "signedURL"

#: Characters of a ``url`` that is taken.
_MAX_URL = 2048

#: Seconds of the longest lifetime: a year.
_MAX_LIFETIME = 366 * 86_400.0


class GrantError(ValueError):
    """A value of the answer that cannot be used; the text names its key and no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What comes with an allowing answer.

    ``name``: the stream's name in place of the client's; ``lifetime``: seconds until the session ends.
    ``recording`` and ``meta`` replace the parameters of that name; ``None`` leaves them as they are.
    """

    url: str | None = field(default=None, repr=False)
    name: str | None = None
    lifetime: float | None = None
    recording: bool | None = None
    meta: dict[str, Any] | None = None

    def apply(self, params: ConnectionParams) -> ConnectionParams:
        """Return the client's parameters with what was granted, also in the query for the origin."""
        changes: dict[str, Any] = {}
        query: dict[str, str] = {}
        if self.name is not None and params.role is Role.PUBLISHER:
            changes["id"] = query["id"] = self.name
        if self.recording is not None:
            changes["recording"], query["recording"] = self.recording, str(self.recording).lower()
        if self.meta is not None:
            changes["meta"], query["meta"] = self.meta, json.dumps(self.meta)
        if self.url is not None:
            query[SIGNED_URL] = self.url
        return msgspec.structs.replace(params.with_origin_query(query), **changes) if query else params


NOTHING = Grant()


def read_grant(answer: dict[str, Any], *, extended: bool) -> Grant:
    """Read what comes with an allowing answer.

    That is ``url``, and the other keys only in the extended format.
    A key with ``null`` is as if it were not there.

    Raises:
        GrantError: a value cannot be used.
    """
    url = answer.get("url")
    if not isinstance(url, str) or not 0 < len(url) <= _MAX_URL or not url.isprintable():
        url = None  # the vendor's server lets the client in all the same
    if not extended:
        return Grant(url=url) if url is not None else NOTHING
    return Grant(
        url=url,
        name=_read_name(answer.get("name")),
        lifetime=_read_lifetime(answer.get("lifetime")),
        recording=_read_recording(answer.get("recording")),
        meta=_read_meta(answer.get("meta")),
    )


def _read_name(name: Any) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise GrantError(f"name is not a text of 1 to {NAME_LIMIT} characters")
    return name


def _read_lifetime(lifetime: Any) -> float | None:
    if lifetime is None:
        return None
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime <= _MAX_LIFETIME:
        raise GrantError("lifetime is not a number of seconds from 0 to a year")
    return float(lifetime)


def _read_recording(recording: Any) -> bool | None:
    if recording is not None and not isinstance(recording, bool):
        raise GrantError("recording is neither true nor false")
    return recording


def _read_meta(meta: Any) -> dict[str, Any] | None:
    if meta is None:
        return None
    if not isinstance(meta, dict) or deeper_than(meta, META_DEPTH) or len(json.dumps(meta)) > META_LIMIT:
        raise GrantError(f"meta is not a JSON object of at most {META_LIMIT} bytes")
    return meta
