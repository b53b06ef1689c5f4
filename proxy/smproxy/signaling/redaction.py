"""Removes the secrets of a connection from everything that is logged, kept or shown of it.

Two rules. Whatever stands under a secret name (``password``, ``accessToken``, ``apiKey`` …) is removed: in a URL, in JSON, with
all that it holds, in broken JSON, in ``name=value`` and ``Name: value``; so is the userinfo of a URL. And what was removed from
the connection's own URL is removed wherever else it occurs. Texts are redacted first and cut afterwards.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

#: Stands for what was removed.
REMOVED = "***"

#: What makes a name secret, once its case and all but letters and digits are gone. ``web/shared/redact.js`` has the same.
_SECRET = re.compile(
    r"(?<!com)(?<!by)pass(?!eng|age|iv|ion|es|ed|ing|thro)|pwd|token|secret(?!ar)|signature|credential|apikey|privatekey|accesskey"
    r"|auth(?!or(?!i[sz]))|jwt|bearer|cookie|^(?:sig|hmac|pin|otp|psk|creds?)$"
)
#: Looks like one and is none: the key of one ICE transport (RFC 8839), without which a recorded offer cannot be replayed.
_HARMLESS = frozenset({"icepwd"})
#: Names whose value may have a userinfo although no scheme stands before it.
_ADDRESS = frozenset({"host", "hostname", "server", "serveraddress", "endpoint", "url", "uri"})
#: What JavaScript makes of a value that a page did not have is shown: it is what somebody looks for.
_NOTHING = frozenset({"", "undefined", "null", "[object Object]", REMOVED})

_LITERAL = re.compile(r"[\W_]+")
_UNICODE_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
#: Python's, a browser's, a form's.
_ESCAPES = ((quote, ""), (quote, "!'()*"), (quote_plus, ""))
_URL_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_BARE_USERINFO = re.compile(r".*@", re.DOTALL)
_CUT_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*\Z")

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

#: A value that is shorter is removed elsewhere only where it stands alone: it would be found in the middle of other words.
_DISTINCT = 6
#: Digits from which on a number is looked for elsewhere.
_DISTINCT_NUMBER = 4
#: Characters of a name that is worth remembering.
_SHORT = 64
#: Layers of escaping and of JSON within JSON that are looked through.
_LAYERS = 4


def is_secret(name: str) -> bool:
    """Return whether a value of this name is to be removed."""
    return _known_name(name) if len(name) <= _SHORT else _reads_secret(name)


def _reads_secret(name: str) -> bool:
    plain = _plain(name)
    return plain not in _HARMLESS and _SECRET.search(plain) is not None


#: Names come from clients, so those that are remembered are short and few.
_known_name = lru_cache(maxsize=1024)(_reads_secret)


def _plain(name: str) -> str:
    """Return a name without case, separators and escapes: ``Access-Token`` as ``accesstoken``."""
    for _ in range(_LAYERS):
        if "%" not in name:
            break
        name = unquote(name)
    name = _UNICODE_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), name)
    return _LITERAL.sub("", unicodedata.normalize("NFKC", name).casefold())


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
        structure = _Structure()
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
        return _Structure(self._known).text(text)

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets."""
        try:
            return _Structure(self._known).value(value)
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
    return data if redacted == value else _encode(redacted).encode()


class _Structure:
    """Remove values under secret names, and note them in ``found``.

    ``known`` removes what is known already.
    """

    def __init__(self, known: Callable[[str], str] = str) -> None:
        self.found: set[str] = set()
        self._known = known

    def url(self, url: str) -> str:
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
                return text if redacted == value else _encode(redacted)
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
        if _plain(name) in _ADDRESS and "://" not in text and (userinfo := _BARE_USERINFO.match(text)):
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


def _forms(value: str) -> Iterable[str]:
    """Return the forms that a value may have in a text.

    As it is, in JSON, in a URL, in a line of a log.
    """
    ascii_only, any_character = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    escaped = tuple(write(value, safe=safe, errors="surrogatepass") for write, safe in _ESCAPES)
    lower = (_URL_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in escaped)
    return {form for form in (value, ascii_only, any_character, repr(value)[1:-1], *escaped, *lower) if form}


def _encode(value: Any) -> str:
    """Write JSON. A lone surrogate, which a client may have sent escaped, stays escaped."""
    return json.dumps(value, separators=(",", ":"))


def _alone(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _DISTINCT else rf"(?<!\w){escaped}(?!\w)"
