"""Reads ``smproxy.toml``: the options of ``smproxy serve``, each by its name."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smproxy.settings.options import OPTIONS, Option

#: A file with this suffix is ours; any other is one of the real server's properties.
SUFFIX = ".toml"


class TomlError(ValueError):
    """The file cannot be used.

    One line that says what is wrong with which option, without its value.
    """


def key_of(option: Option) -> str | None:
    """Return an option's name in the file, ``None`` for one that has none."""
    return None if option.flag is None else option.flag.removeprefix("--")


def read_toml(path: Path, wanted: Sequence[Option] = OPTIONS) -> dict[str, list[str]]:
    """Return the values of the options that a file sets, as texts, by their settings.

    When only some options are wanted, nothing else in the file has to be right; ``config`` is always among them.

    Raises:
        TomlError: it cannot be read, it has sections, an option does not exist, or a value is of no kind that an option has.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TomlError(f"{path}: {error.strerror}: give --config a readable file") from None
    except UnicodeDecodeError:
        raise TomlError(f"{path}: it is not UTF-8: write it so") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TomlError(f"{path}: {' '.join(str(error).split())}") from None
    options = {key: option for option in OPTIONS if (key := key_of(option)) is not None}
    settings = {"config", *(option.setting for option in wanted)}
    values = {}
    for key, value in table.items():
        option = options.get(key)
        if option is None and _is_section(value):
            raise TomlError(
                f"{path}: there are no sections such as [{key[:100]}]: write its options at the begin of the file, without it"
            )
        if len(wanted) < len(OPTIONS) and (option is None or option.setting not in settings):
            continue
        if option is None:
            near = difflib.get_close_matches(key.replace("_", "-"), options, 1)
            hint = f"did you mean {near[0]!r}?" if near else "`smproxy config` lists them"
            raise TomlError(f"{path}: there is no option {key[:100]!r}: {hint}")
        values[option.setting] = _texts(path, option, key, value)
    return values


def _is_section(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))


def _texts(path: Path, option: Option, key: str, value: Any) -> list[str]:
    if isinstance(value, list):
        if not option.repeatable:
            raise TomlError(f"{path}: {key} takes one value, no list")
        return [_text(path, key, each) for each in value]
    return [_text(path, key, value)]


def _text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TomlError(f"{path}: {key} takes a text, a number, true or false")
