"""Remove the values of secret names from a URL, from JSON and from text of any kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import msgspec

from smproxy.signaling.secret_names import is_address, is_secret

#: Stands for what was removed.
REMOVED = "***"

#: What JavaScript makes of a value that a page did not have is shown: it is what somebody looks for.
_NOTHING = frozenset({"", "undefined", "null", "[object Object]", REMOVED})

_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_BARE_USERINFO = re.compile(r".*@", re.DOTALL)

#: A name, quoted or not, and what leads to its value.
_NAME = re.compile(
    r"(?:(?P<quote>(?<!\\)\\*+[\"'])(?P<quoted>[^\"'\n]{1,200}?)(?P=quote)|(?<![\w.$-])(?<!://)(?P<bare>[\w.$-]++))"
    r"\s*+[:=]++>?\s*+"
)
_OPENING_QUOTE = re.compile(r"\\*[\"'`]")
_BRACKET_OR_QUOTE = re.compile(r"[\"{}\[\]]")
_SCHEME = re.compile(r"(?:bearer|basic|digest|token)\s+", re.IGNORECASE)
_WORD = re.compile(r"(?:[^\s&#\"'<>;,]|[;,](?!\s|$))*")
#: What there is in every text that has a secret of its own; without it nothing has to be looked through.
_STRUCTURE = re.compile(r"[{\[:=%@]|bearer|basic", re.IGNORECASE)
_SCHEMED = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)

#: Digits from which on a number is looked for elsewhere.
_DISTINCT_NUMBER = 4
#: Layers of escaping and of JSON within JSON that are looked through.
_LAYERS = 4


class SecretRemover:
    """Remove values under secret names, and note them in ``found``.

    ``known`` removes what is known already.
    """

    def __init__(self, known: Callable[[str], str] = str) -> None:
        self.found: set[str] = set()
        self._known = known

    def url(self, url: str) -> str:
        """Redact a URL."""
        path, mark, query = url.partition("?")
        return self._userinfo(path) + mark + "&".join(map(self._pair, query.split("&")))

    def _pair(self, raw: str) -> str:
        key, equals, value = raw.partition("=")
        decoded = unquote(value)
        if decoded in _NOTHING:
            return raw
        if is_secret(key):
            self.found |= {value, decoded, unquote_plus(value)}
            return f"{key}={REMOVED}"
        redacted = self._of_name(unquote(key), decoded)
        return raw if redacted == decoded else key + equals + quote(redacted, safe="*", errors="replace")

    def text(self, text: str, layers: int = _LAYERS) -> str:
        """Redact a text of any kind: JSON, a URL, a line of a log."""
        if _STRUCTURE.search(text) is None:
            return self._known(text)
        if not layers:
            return REMOVED
        if text.lstrip()[:1] in ("{", "["):
            try:
                value = msgspec.json.decode(text)
                redacted = self.value(value, layers - 1)
                return text if redacted == value else write_json(redacted)
            except (ValueError, RecursionError):
                pass  # no JSON, or broken
        text = self._scan(self._userinfo(self._known(text)))
        if "%" in text and (decoded := unquote(text)) != text:
            redacted = self.text(decoded, layers - 1)
            return text if redacted == decoded else redacted
        return text

    def value(self, value: Any, layers: int = _LAYERS) -> Any:
        """Redact a JSON value: what a secret name stands for goes as a whole."""
        if isinstance(value, dict):
            return {self.text(key, layers): self._member(key, inner, layers) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, layers) for inner in value]
        if isinstance(value, str):
            return self.text(value, layers)
        shown = str(value)
        return value if value is None or isinstance(value, bool) or self._known(shown) == shown else REMOVED

    def _member(self, name: str, value: Any, layers: int) -> Any:
        if is_secret(name):
            self._note(value)
            return value if value in (None, [], {}) or (isinstance(value, str) and value in _NOTHING) else REMOVED
        return self._of_name(name, value, layers) if isinstance(value, str) else self.value(value, layers)

    def _of_name(self, name: str, text: str, layers: int = _LAYERS) -> str:
        """Redact the text of a name that is not secret."""
        if is_address(name) and "://" not in text and (userinfo := _BARE_USERINFO.match(text)):
            self._note_userinfo(userinfo[0])
            text = f"{REMOVED}@{text[userinfo.end() :]}"
        return self.text(text, layers)

    def _userinfo(self, text: str) -> str:
        def remove(match: re.Match[str]) -> str:
            self._note_userinfo(match[0])
            return f"{REMOVED}@"

        return _USERINFO.sub(remove, text)

    def _note_userinfo(self, userinfo: str) -> None:
        userinfo = userinfo.removesuffix("@")
        password = userinfo.partition(":")[2]
        for secret in (userinfo, password):
            self._note(secret)
            self._note(unquote(secret))

    def _note(self, value: Any) -> None:
        """Remember the scalars in a secret value, to find them elsewhere."""
        layer = [value]
        while layer:
            each = layer.pop()
            if isinstance(each, dict):
                layer += each.values()
            elif isinstance(each, list):
                layer += each
            elif isinstance(each, str) and each not in _NOTHING:
                self.found.add(each)
            elif isinstance(each, int | float) and len(str(each)) >= _DISTINCT_NUMBER and not isinstance(each, bool):
                self.found.add(str(each))

    def _scan(self, text: str) -> str:
        """Remove the values of secret names from what is no JSON, or broken."""
        parts, done, position = [], 0, 0
        while match := _NAME.search(text, position):
            position = match.end()
            if not is_secret(match["quoted"] or match["bare"]):
                continue
            end = _end_of_value(text, position)
            value = text[position:end].strip("\\\"'`")
            if value not in _NOTHING:
                self._note(value)
                parts += [text[done:position], REMOVED]
                done = position = end
        text = "".join(parts) + text[done:]
        return _SCHEMED.sub(rf"\1 {REMOVED}", text)


def _end_of_value(text: str, start: int) -> int:
    """Return where a value ends that may be broken.

    A quoted one ends with its quote, a list or object with its bracket.
    """
    if opening := _OPENING_QUOTE.match(text, start):
        return _end_of_quoted(text, opening.end(), opening[0][-1], len(opening[0]) - 1)
    if text[start : start + 1] in ("{", "["):
        return _end_of_brackets(text, start)
    scheme = _SCHEME.match(text, start)
    word = _WORD.match(text, scheme.end() if scheme else start)
    assert word is not None  # it matches nothing, too
    return word.end()


def _end_of_quoted(text: str, start: int, quote: str, escapes: int) -> int:
    """Return the end of what was opened with so many backslashes before the quote.

    JSON in a JSON string is written so.
    """
    position = start
    while (found := text.find(quote, position)) >= 0:
        # Each layer of JSON doubles the backslashes and adds one for a quote of its own.
        if _backslashes(text, start, found) % (2 * (escapes + 1)) == escapes:
            return found + 1
        position = found + 1
    return len(text)


def _backslashes(text: str, start: int, end: int) -> int:
    position = end
    while position > start and text[position - 1] == "\\":
        position -= 1
    return end - position


def _end_of_brackets(text: str, start: int) -> int:
    depth, position = 0, start
    while match := _BRACKET_OR_QUOTE.search(text, position):
        position = match.end()
        if match[0] == '"':
            position = _end_of_quoted(text, position, '"', _backslashes(text, start, match.start()))
        elif match[0] in "{[":
            depth += 1
        elif (depth := depth - 1) == 0:
            return position
    return len(text)


def write_json(value: Any) -> str:
    """Write JSON. A lone surrogate, which a client may have sent escaped, stays escaped."""
    return json.dumps(value, separators=(",", ":"))
