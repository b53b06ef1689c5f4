"""File names for recordings.

Readable, within the directory whatever a client calls its stream, and never two for one.

``<scope>/<stream>.webm``, each part escaped: what could lead out of the directory, hide a file or confuse a terminal becomes
``%XX`` as in a URL. Earlier recordings of a name are kept as ``<stream>~1.webm``, ``<stream>~2.webm`` and so on; since ``~``
and ``%`` of a name are always escaped, no name can be taken for another's.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path

WEBM, MATROSKA = ".webm", ".mkv"
SUFFIXES = (WEBM, MATROSKA)

_UNSAFE = frozenset('/\\:*?"<>|%~')
#: Bytes of an escaped part; file systems allow 255, of which the suffix and ``~`` with a number need some.
_MAX_PART = 200
_KEPT = 160


def relative_path(scope: str, stream: str, suffix: str) -> str:
    """Return where a stream is recorded, relative to the directory, with ``/`` between parts."""
    folders = [_folder(part) for part in scope.split("/") if part]
    return "/".join([*folders, escape(stream) + suffix])


def _folder(part: str) -> str:
    """Escape a part of a scope.

    One that ends as a recording does would stand in that recording's place.
    """
    escaped = escape(part)
    stem, dot, suffix = escaped.rpartition(".")
    return f"{stem}%2E{suffix}" if dot + suffix.lower() in SUFFIXES else escaped


def escape(name: str) -> str:
    """Make one part of a path of any text. Different texts give different parts."""
    units = [_unit(character) for character in name]
    for end in (0, -1):
        if units and units[end] in {".", " "}:
            units[end] = f"%{ord(units[end]):02X}"
    escaped = "".join(units)
    if not escaped:
        return "%-"
    if len(escaped.encode()) <= _MAX_PART:
        return escaped
    lengths = itertools.accumulate(len(unit.encode()) for unit in units)
    start = "".join(unit for unit, length in zip(units, lengths, strict=True) if length <= _KEPT)
    return f"{start}%-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:24]}"


def _unit(character: str) -> str:
    if character.isprintable() and character not in _UNSAFE:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))


def kept_path(path: Path) -> Path:
    """Return the name under which an earlier recording is kept.

    One above the highest number in use.
    """
    pattern = re.compile(re.escape(path.stem) + r"~([0-9]{1,9})" + re.escape(path.suffix))
    used = [int(found[1]) for each in path.parent.iterdir() if (found := pattern.fullmatch(each.name))]
    return path.with_name(f"{path.stem}~{max(used, default=0) + 1}{path.suffix}")
