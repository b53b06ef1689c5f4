"""Reading ``red5-web.properties``: the Java properties format, as far as such files use it.

White space and ends of lines are those of ``java.util.Properties``, not what Python takes for them (U+0085, U+00A0 …).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Property:
    """One entry and the line on which it starts, counted from 1."""

    value: str
    line: int


#: By the mark at the begin of the file; UTF-16 goes with either order of bytes.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BLANK = " \t\f"


def decode_properties(raw: bytes) -> str:
    """Decode a file by its mark, else as UTF-8, else as ISO 8859-1, as Java does.

    Raises:
        ValueError: It is no text in any of these.
    """
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            raise ValueError(
                f"it begins as {encoding.removesuffix('-sig').upper()} and goes on as something else"
            ) from None
        text = raw.decode("iso-8859-1")
    if "\0" in text:
        raise ValueError("it has zero bytes, as UTF-16 without a mark has: save it as UTF-8")
    return text


def parse_properties(text: str) -> dict[str, Property]:
    """Read a properties file.

    Of a repeated key the last counts, as in ``java.util.Properties.load``.
    """
    properties: dict[str, Property] = {}
    for number, line in _logical_lines(text):
        key, value = _split(line)
        properties[key] = Property(value, number)
    return properties


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Join lines that end in an odd number of backslashes with their successors.

    Leave out blanks and comments.
    """
    pending, start = "", 0
    for number, natural in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = natural.lstrip(_BLANK)
        if not pending:
            if not line or line[0] in "#!":
                continue
            start = number
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending += line[:-1]
            continue
        yield start, pending + line
        pending = ""
    if pending:
        yield start, pending


def _split(line: str) -> tuple[str, str]:
    """Split at the first unescaped ``=``, ``:`` or white space, and undo the escapes."""
    end = 0
    while end < len(line) and line[end] not in "=:" + _BLANK:
        end += 2 if line[end] == "\\" else 1
    key, rest = line[:end], line[end:].lstrip(_BLANK)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_BLANK)
    return _unescape(key), _unescape(rest).rstrip(_BLANK)


_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\" or position == len(text):
            out.append(character)
            continue
        escaped = text[position]
        position += 1
        digits = text[position : position + 4]
        if escaped == "u" and len(digits) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            out.append(chr(int(digits, 16)))
            position += 4
        else:
            out.append(_ESCAPES.get(escaped, escaped))
    return "".join(out)
