"""``Link`` headers (RFC 8288) of an origin, rewritten for its clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from yarl import URL

_TARGET = re.compile(r"<([^<>]*)>")


def rewrite_links(values: Iterable[str], to_client: Callable[[URL], str | None] | None) -> list[str]:
    """Return the values, with targets below a session's resource replaced by URLs of ours.

    All others are unchanged.
    """

    def target(found: re.Match[str]) -> str:
        try:
            url = URL(found[1], encoded=True)
        except ValueError:
            return found[0]
        if to_client is None or url.scheme not in ("", "http", "https"):
            return found[0]
        own = to_client(url)
        return found[0] if own is None else f"<{own}>"

    return [_TARGET.sub(target, value) for value in values]
