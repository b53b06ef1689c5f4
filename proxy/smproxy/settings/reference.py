"""The commented configuration file that has every option, made from the option table."""

from __future__ import annotations

import json
import textwrap

from smproxy.settings.options import OPTIONS, Option
from smproxy.settings.settings import Settings, default_of
from smproxy.settings.toml_file import key_of

_HEAD = """\
# The options of `smproxy serve`, for `smproxy --config smproxy.toml serve`. Flags, then variables SMPROXY_…, come before them.
# Each line that is commented out has the default, or shows what a value looks like. Paths are relative to where it is started.
"""
_WIDTH = 120


def config_reference() -> str:
    """Return the file."""
    parts = [_HEAD]
    for option in OPTIONS:
        if (key := key_of(option)) is not None:
            text = option.help + ("; a list gives several" if option.repeatable else "")
            comment = textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
            parts.append(f"{comment}\n#{key} = {_value(option)}\n")
    return "\n".join(parts)


def has_default(option: Option) -> bool:
    """Return whether the file shows the option's default, and not an example."""
    return option.metavar is None or bool(default_of(option))


def _value(option: Option) -> str:
    default = getattr(Settings(), option.setting)
    if option.metavar is None:
        # `--no-…` turns off what is on by default: the option itself is not given.
        return "false"
    if isinstance(default, bool):
        return json.dumps(default)
    if isinstance(default, int | float):
        return f"{default:g}" if isinstance(default, float) else str(default)
    text = default_of(option)
    if text:
        return json.dumps(text)
    example = json.dumps(option.metavar, ensure_ascii=False)
    return f"[{example}]" if option.repeatable else example
