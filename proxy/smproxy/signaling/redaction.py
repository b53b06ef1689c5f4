"""Removes the secrets of a connection from everything that is logged, kept or shown of it.

Two rules. Whatever stands under a secret name (``password``, ``accessToken``, ``apiKey`` …) is removed: in a URL, in JSON, with
all that it holds, in broken JSON, in ``name=value`` and ``Name: value``; so is the userinfo of a URL. And what was removed from
the connection's own URL is removed wherever else it occurs. Texts are redacted first and cut afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from smproxy.signaling.secret_values import REMOVED, SecretRemover, write_json

#: Python's, a browser's, a form's.
_ESCAPES = ((quote, ""), (quote, "!'()*"), (quote_plus, ""))
_URL_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_CUT_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*\Z")

#: A value that is shorter is removed elsewhere only where it stands alone: it would be found in the middle of other words.
_DISTINCT = 6


class Redactor:
    """Remove secrets from the texts of one connection, whose client dialed ``url``.

    They are not in its ``repr``.
    """

    def __init__(self, url: str = "") -> None:
        self._dialed = url

    def __repr__(self) -> str:
        return "<Redactor>"

    @cached_property
    def url(self) -> str:
        """The URL without secrets."""
        return self._known(self._found[0])

    @cached_property
    def _found(self) -> tuple[str, frozenset[str]]:
        structure = SecretRemover()
        url = structure.url(self._dialed)
        return url, frozenset(form for value in structure.found for form in _forms(value))

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        forms = sorted(self._found[1], key=len, reverse=True)
        return re.compile("|".join(map(_alone, forms))) if forms else None

    def text(self, text: str, *, cut: bool = False) -> str:
        """Return a text without secrets.

        With ``cut`` it is the beginning of one, and may end within a secret.
        """
        if cut:
            text = self._without_beginning(text.rstrip("\N{REPLACEMENT CHARACTER}"))
            text = _CUT_USERINFO.sub(REMOVED, text)
        return SecretRemover(self._known).text(text)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets."""
        try:
            return SecretRemover(self._known).value(value)
        except RecursionError:
            return REMOVED

    def _known(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(REMOVED, text)

    def _without_beginning(self, text: str) -> str:
        """Remove the beginning of a secret from a text's end."""
        longest = 0
        for form in self._found[1]:
            for length in range(min(len(form) - 1, len(text)), longest, -1):
                if text.endswith(form[:length]):
                    longest = length
                    break
        return text[: len(text) - longest] + REMOVED if longest else text


#: For what belongs to no connection, or to one whose URL is not at hand.
_ANY = Redactor()


def redact_value(value: Any) -> Any:
    """Return a JSON value without what stands under secret names."""
    return _ANY.value(value)


def redact_json(data: bytes) -> bytes:
    """Return JSON without what stands under secret names.

    The same bytes when there is nothing to remove.
    """
    value = msgspec.json.decode(data)
    redacted = redact_value(value)
    return data if redacted == value else write_json(redacted).encode()


def _forms(value: str) -> Iterable[str]:
    """Return the forms that a value may have in a text.

    As it is, in JSON, in a URL, in a line of a log.
    """
    ascii_only, any_character = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    escaped = tuple(write(value, safe=safe, errors="surrogatepass") for write, safe in _ESCAPES)
    lower = (_URL_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in escaped)
    return {form for form in (value, ascii_only, any_character, repr(value)[1:-1], *escaped, *lower) if form}


def _alone(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _DISTINCT else rf"(?<!\w){escaped}(?!\w)"
