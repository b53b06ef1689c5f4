"""What the JavaScript client has from the code: the OpenAPI document, and names, settings and faults as TypeScript.

``tests/check_docs.py`` compares these files with the code, and writes them with ``--write``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import smproxy
from smproxy.faults.catalog import KINDS
from smproxy.faults.hook_fault import EVENT_CHOICES
from smproxy.faults.parameter import AnyParameter
from smproxy.manager.rest.openapi import document
from smproxy.settings import default_of
from smproxy.settings.options import OPTIONS, Option
from smproxy.signaling.hook_names import STATES
from smproxy.testing.expectation import FIELDS
from smproxy.testing.hook_report import MAX_ROWS
from smproxy.testing.hooks import QUIET

_HEAD = "// Made from the code of the stream manager by tests/check_docs.py --write.\n"
#: Options of ``smproxy serve`` that the client sets by itself.
_OWN = {"exit_with_parent", "port", "ready_file"}


def openapi() -> str:
    """Return the OpenAPI document, from which the types of the calls are made."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def names() -> str:
    """Return the names of hooks and of their fields, and the limits that both languages share."""
    states = "".join(f"  {event}: {_list(names)},\n" for event, names in STATES.items())
    return f"""{_HEAD}
/** The version of the stream manager that this package was made with. */
export const VERSION = "{smproxy.__version__}";

/** The events, and what happens in each. */
export const STATES = {{
{states}}} as const;

/** What can be asked of a hook. */
export const FIELDS = [
{_lines(FIELDS)}] as const;

/** Milliseconds in which a hook that must not come could come. */
export const QUIET = {QUIET * 1000:g};

/** Rows of the table of what came. */
export const MAX_ROWS = {MAX_ROWS};
"""


def settings() -> str:
    """Return the options of ``smproxy serve`` as an interface."""
    options = [option for option in OPTIONS if option.flag is not None and option.setting not in _OWN]
    members = "\n".join(_setting(option) for option in options)
    return f"""{_HEAD}
/** The options of `smproxy serve`, in camel case. */
export interface Settings {{
{members}
}}
"""


def faults() -> str:
    """Return the faults and their parameters as an interface."""
    members = []
    for kind in KINDS.values():
        parameters = " ".join(f"{each.name}?: {_type(each)};" for each in kind.parameters)
        members.append(f'  /** {kind.effect} */\n  "{kind.name}": {{ {parameters} }};'.replace("{  }", "object"))
    joined = "\n".join(members)
    return f"""{_HEAD}
/** What a fault chooses events of hooks by: their names and states; an empty text stands for all. */
export type EventChoice = {_union(EVENT_CHOICES)};

/** The faults that there are, and the parameters of each. */
export interface FaultParameters {{
{joined}
}}
"""


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def _union(values: Iterable[str]) -> str:
    return " | ".join(f'"{value}"' for value in values)


def _lines(values: Iterable[str]) -> str:
    return "".join(f'  "{value}",\n' for value in values)


def _setting(option: Option) -> str:
    assert option.flag is not None
    first, *rest = option.flag.removeprefix("--").split("-")
    name = first + "".join(word[:1].upper() + word[1:] for word in rest)
    kind = "boolean" if option.metavar is None else "string | number"
    if option.repeatable:
        kind += " | readonly (string | number)[]"
    default = default_of(option) if option.metavar else ""
    note = f" (default {default})" if default else ""
    return f"  /** {option.help}{note} */\n  {name}?: {kind};"


def _type(parameter: AnyParameter) -> str:
    if parameter.choices:
        return "EventChoice" if parameter.choices == EVENT_CHOICES else _union(parameter.choices)
    return {bool: "boolean", str: "string"}.get(type(parameter.default), "number")


FILES = {
    "clients/js/openapi.json": openapi,
    "clients/js/src/generated/names.ts": names,
    "clients/js/src/generated/settings.ts": settings,
    "clients/js/src/generated/faults.ts": faults,
}
