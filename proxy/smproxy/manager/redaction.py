"""What must not be seen of a connection: the passwords and tokens of its URL, wherever they turn up again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

#: Stands for what was removed.
REMOVED = "***"

_SECRET = re.compile(r"pass|pwd|token|secret|signature|credential|api_?key|auth|jwt", re.IGNORECASE)

_ESCAPE = re.compile(r"%[0-9A-F]{2}")

#: A value that is shorter is removed only where it stands alone: it would be found in the middle of other words.
_DISTINCT = 6


class Redaction:
    """Removes the secrets of one URL from texts. What it holds is not for a log, so its ``repr`` is empty."""

    def __init__(self, url: str) -> None:
        found = {form for value in _secrets(url) for form in _forms(value)}
        parts = [_pattern(form) for form in sorted(found, key=len, reverse=True)]
        self._secrets = re.compile("|".join(parts)) if parts else None
        #: The URL without secrets.
        self.url = self(redacted_url(url))

    def __repr__(self) -> str:
        return "<Redaction>"

    def __call__(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        return text if self._secrets is None else self._secrets.sub(REMOVED, text)


def redacted_url(url: str) -> str:
    """Return a URL without the values of its secret parameters."""
    path, mark, query = url.partition("?")
    return path + mark + "&".join(_redacted_pair(raw) for raw in query.split("&"))


def _redacted_pair(raw: str) -> str:
    key, equals, value = raw.partition("=")
    if not value:
        return raw
    if _SECRET.search(unquote(key)):
        return f"{key}={REMOVED}"
    if secrets := list(_of_json(unquote(value))):
        text = unquote(value)
        for secret in secrets:
            for form in _forms(secret):
                text = text.replace(form, REMOVED)
        return f"{key}={quote(text, safe='*')}"
    return key + equals + value


def _secrets(url: str) -> Iterator[str]:
    for raw in url.partition("?")[2].split("&"):
        key, _, value = raw.partition("=")
        if not value:
            continue
        if _SECRET.search(unquote(key)):
            yield value
            yield unquote(value)
            yield unquote_plus(value)
        else:
            yield from _of_json(unquote(value))


def _of_json(text: str) -> Iterator[str]:
    """Yield the secrets in a parameter that is a JSON object, as ``meta`` is."""
    if not text.startswith("{"):
        return
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return
    layer: list[Any] = [value]
    while layer:
        each = layer.pop()
        if isinstance(each, list):
            layer += each
        elif isinstance(each, dict):
            for key, inner in each.items():
                if isinstance(inner, dict | list):
                    layer.append(inner)
                elif isinstance(inner, str) and inner and _SECRET.search(key):
                    yield inner


def _forms(value: str) -> Iterable[str]:
    """Return the ways in which a text may write a value: as it is, in JSON, in a URL of Python's or a browser's making."""
    ascii_only, any_character = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    escaped = (quote(value, safe=""), quote(value, safe="!'()*"), quote_plus(value))
    lower = (_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in escaped)
    return {form for form in (value, ascii_only, any_character, *escaped, *lower) if form}


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _DISTINCT else rf"(?<!\w){escaped}(?!\w)"
