"""Checks that the documentation agrees with the code; ``--write`` brings the generated parts up to date.

Checked: the README's option table holds every option of ``smproxy serve --help`` with its default and its words, the diagram
of a session's life is that of the transition table, the table of faults is that of their kinds, what is shown of their code
is the code, the numbers of the code in its sentences are those of the code, every relative link leads to a file, classes
and modules that a page names are there, the first line of a docstring has at most 90 characters, and the name of a class
stands for one class.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smproxy.auth.back_end import TIMEOUT as AUTH_TIMEOUT
from smproxy.cli import COMMANDS, make_parser
from smproxy.commands.forward import TIMEOUT as FORWARD_TIMEOUT
from smproxy.conformance.check import Check
from smproxy.conformance.playback import BEFORE_PUBLISHING
from smproxy.conformance.runner import ALL
from smproxy.faults import FaultKind, Layer
from smproxy.faults.admission_fault import AdmissionFault
from smproxy.faults.auth_fault import AuthFault
from smproxy.faults.catalog import KINDS
from smproxy.faults.exchange_fault import ExchangeFault, ExchangeSession
from smproxy.faults.hook_fault import EVENT_CHOICES, HookDelivery, HookFault
from smproxy.faults.media_fault import FaultyPeer, MediaFault
from smproxy.faults.origin_fault import FaultyOrigin, OriginFault
from smproxy.faults.parameter import AnyParameter
from smproxy.faults.signaling_fault import SignalingFault, SignalingSession
from smproxy.hooks.broadcast import LIMIT as BROADCAST_LIMIT
from smproxy.hooks.delivery import Limits
from smproxy.hooks.journal import Retention
from smproxy.hooks.retry import PROFILES as RETRY_PROFILES
from smproxy.hooks.sink import Sink
from smproxy.hooks.sinks.http import MAX_ANSWER
from smproxy.hooks.sinks.jetstream import DUPLICATE_WINDOW, MAX_AGE
from smproxy.hooks.sinks.webhook import DEFAULT_TIMEOUT
from smproxy.http_head import HEAD_LIMIT
from smproxy.manager.history import KEPT
from smproxy.manager.relay.limits import RelayLimits
from smproxy.manager.rest.webhook_socket import MAX_INCOMING
from smproxy.manager.transcript import FIRST, FRAME
from smproxy.manager.transcripts import BUDGET
from smproxy.manager.whip.session_table import MAX_SESSIONS
from smproxy.network import PROFILES
from smproxy.origin.recording.disk_space import KEEP_FREE
from smproxy.settings import default_of
from smproxy.settings.options import OPTIONS, Option
from smproxy.settings.reference import config_reference
from smproxy.signaling.params import META_LIMIT, NAME_LIMIT
from smproxy.signaling.session import TABLE, Phase, Step
from smproxy.signaling.whip import MAX_SDP
from smproxy.simulator import FLUSH

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, it does not find the package that it is in

from tests import states  # noqa: E402
from tests.js_client import FILES as JS_FILES  # noqa: E402

PACKAGE = ROOT / "proxy" / "smproxy"
FIRST_LINE = 90
"""The most characters that the first line of a docstring may have."""
SHARED_NAMES = {
    "Connection": "part of every hook, and so of the public schema; in the listener a connection that was accepted",
}
"""Class names that rightly stand for more than one class, with the reason."""
SCOPE_WAY = (
    "manager/listener.py", "http_head.py", "manager/upgrade.py", "signaling/socket_endpoints.py", "signaling/params.py",
    "manager/admission.py", "manager/sessions.py", "manager/session.py",
    "hooks/dispatcher.py", "hooks/event.py", "hooks/journal/journal.py", "hooks/journal/writer.py", "hooks/journal/store.py",
    "hooks/delivery.py", "hooks/outbox_reader.py", "hooks/ordered_queue.py",
    "hooks/sinks/webhook.py", "hooks/formats/envelope.py", "hooks/sinks/http.py",
)  # fmt: skip
"""The modules through which a client's customer scope goes; tests/integration/test_scope_way.py watches it go."""


@dataclass(frozen=True)
class Number:
    """A number of the code within a sentence of a page; ``{}`` is its place."""

    page: str
    sentence: str
    value: float

    def expected(self) -> tuple[str, str]:
        """Return the page as it is and as it should be."""
        text = (ROOT / self.page).read_text()
        before, after = self.sentence.split("{}")
        pattern = re.escape(before) + r"\d[\d,.]*(?<![,.])" + re.escape(after)
        if len(re.findall(pattern, text)) != 1:
            raise SystemExit(f"{self.page}: there is not one {self.sentence!r}")
        wanted = f"{before}{self.value:,g}{after}" if self.value < 1e6 else f"{before}{self.value:,.0f}{after}"
        return text, re.sub(pattern, lambda _: wanted, text)


@dataclass(frozen=True)
class Generated:
    """A part of a page that is written from the code, between two markers."""

    page: str
    name: str
    write: Callable[[], str]

    def expected(self) -> tuple[str, str]:
        """Return the page as it is and as it should be."""
        text = (ROOT / self.page).read_text()
        start, end = f"<!-- {self.name}: written by tests/check_docs.py --write -->", f"<!-- end of {self.name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{self.page}: the markers of {self.name} are missing")
        return text, f"{before}{start}\n{self.write()}\n{end}{after}"


@dataclass(frozen=True)
class GeneratedFile:
    """A file that is written from the code as a whole."""

    page: str
    write: Callable[[], str]
    name: str = "the file"

    def expected(self) -> tuple[str, str]:
        """Return the file as it is and as it should be."""
        path = ROOT / self.page
        return path.read_text() if path.exists() else "", self.write()


def row(option: Option) -> str:
    """Write an option's row of the table."""
    usage = f"{option.flag} {option.metavar}" if option.metavar else f"{option.flag}"
    notes = ["may be repeated, in the variable separated by spaces"] if option.repeatable else []
    notes += [f"`{option.key}` in `--config`"] if option.key else []
    text = "; ".join([option.help, *notes]).replace("|", "\\|")
    default = f"`{default_of(option)}`" if default_of(option) else ""
    usage = usage.replace("|", "\\|")
    return f"| `{usage}` | {default} | {text} |"


def option_table() -> str:
    """Write the whole table."""
    rows = [row(option) for option in OPTIONS if option.flag is not None]
    return "\n".join(["| option | default | what it does |", "| --- | --- | --- |", *rows])


def life_diagram() -> str:
    """Draw the transition table of a session's life."""
    arrows: dict[tuple[Phase, Phase, tuple[Step, ...]], list[str]] = {}
    for (phase, event), (then, steps) in TABLE.items():
        arrows.setdefault((phase, then, steps), []).append(event.name.lower())
    lines = ["```mermaid", "stateDiagram-v2"]
    for (phase, then, steps), events in arrows.items():
        told = ", ".join(step.name.lower() for step in steps)
        label = " or ".join(events) + (f" / {told}" if told else "")
        lines.append(f"    {phase.name} --> {then.name}: {label}")
    return "\n".join([*lines, "```"])


def fault_table() -> str:
    """Write the table of the faults that act on a WebSocket, media, origins or hooks."""
    head = ["fault", "layer", "parameters", "effect", "`publish()`", "over WHIP and WHEP"]
    rows = [
        [f"`{kind.name}`", kind.layer, _fault_parameters(kind), kind.effect, kind.publish, kind.whip]
        for kind in KINDS.values()
        if kind.layer is not Layer.HTTP
    ]
    return _table(head, rows)


def http_fault_table() -> str:
    """Write the table of the faults that act on the HTTP exchanges of WHIP and WHEP only."""
    kinds = [kind for kind in KINDS.values() if kind.layer is Layer.HTTP]
    rows = [[f"`{kind.name}`", _fault_parameters(kind), kind.effect] for kind in kinds]
    return _table(["fault", "parameters", "effect"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def _fault_parameters(kind: type[FaultKind]) -> str:
    return "<br>".join(_fault_parameter(each) for each in kind.parameters)


def _fault_parameter(parameter: AnyParameter) -> str:
    default = str(parameter.default).lower() if isinstance(parameter.default, bool) else f"{parameter.default}"
    default = f"{parameter.default:g}" if isinstance(parameter.default, float) else default
    allowed = "a name of hooks" if parameter.choices == EVENT_CHOICES else parameter.allowed
    return f"`{parameter.name}={default}` {parameter.help} ({allowed})"


def fault_example() -> str:
    """Show the file of one fault."""
    code = (ROOT / "proxy/smproxy/faults/signaling/no_trickle_completed.py").read_text()
    return f"```python\n{code.strip()}\n```"


def fault_layers() -> str:
    """Write what faults of each layer can override, and what they can do."""
    layers = (
        (AdmissionFault, None, "refuses a connection"),
        (AuthFault, None, "decides on a client in place of the authentication scheme"),
        (SignalingFault, ("session", SignalingSession), "one connection's messages"),
        (ExchangeFault, ("http", ExchangeSession), "the HTTP requests of one WHIP or WHEP session"),
        (MediaFault, ("peer", FaultyPeer), "one client's media, at the origin"),
        (OriginFault, ("origin", FaultyOrigin), "all sessions of an origin"),
        (HookFault, ("delivery", HookDelivery), "the delivery of hooks"),
    )
    lines = ["| class | acts on | may define | may use |", "| --- | --- | --- | --- |"]
    for layer, uses, what in layers:
        module = layer.__module__.rpartition(".")[2]
        used = (
            "" if uses is None else "<br>".join(f"`self.{uses[0]}.{name}`: {text}" for name, text in _members(uses[1]))
        )
        defined = "<br>".join(f"`{name}`: {text}" for name, text in _members(layer))
        lines.append(f"| `{layer.__name__}` in `faults/{module}.py` | {what} | {defined} | {used} |")
    return "\n".join(lines)


def _members(owner: type) -> list[tuple[str, str]]:
    """Return the public methods and properties of a class, each with its docstring."""
    found = []
    for name, value in vars(owner).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod)):
            text = " ".join((value.__doc__ or "").partition("Raises:")[0].split())
            found.append((name, text.rstrip(".").replace("``", "`")))
    return found


def hook_format() -> str:
    """Show the smallest format as it is."""
    code = (ROOT / "proxy/smproxy/hooks/formats/envelope.py").read_text()
    return f"```python\n{code.strip()}\n```"


def sink_members() -> str:
    """Write what a sink has."""
    return "\n".join(["| | |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in _members(Sink))])


def conformance_table() -> str:
    """Write a row for each check, in the order in which they run."""
    lines = ["| row | level | requirement | how it is checked | where it stands |", "| --- | --- | --- | --- | --- |"]
    for check in (*ALL, *BEFORE_PUBLISHING):
        how = " ".join((check.run.__doc__ or "").split())
        lines.append(f"| {check.row} | {check.level} | {check.title} | {how} | {_references(check)} |")
    return "\n".join(lines)


def _references(check: Check) -> str:
    return "<br>".join(dict.fromkeys(check.reference(protocol) for protocol in sorted(check.protocols, reverse=True)))


def network_profiles() -> str:
    """Write the table of the named networks."""
    rows = [[f"`{name}`", each.text, f"{each.up}", f"{each.down}"] for name, each in PROFILES.items()]
    return _table(["profile", "", "up", "down"], rows)


def scope_way() -> str:
    """Write the way of the customer scope, each module with the first line of its docstring."""
    first = {
        name: (ast.get_docstring(ast.parse((PACKAGE / name).read_text())) or "").split("\n")[0] for name in SCOPE_WAY
    }
    rows = [f"| {number} | `{name}` | {text} |" for number, (name, text) in enumerate(first.items(), 1)]
    return "\n".join([f"{len(SCOPE_WAY)} modules:", "", "| | module | what it holds |", "| --- | --- | --- |", *rows])


def retry_table() -> str:
    """Write the schedules of retries."""
    lines = ["| profile | waits of up to | gives up | longest `Retry-After` |", "| --- | --- | --- | --- |"]
    for profile in RETRY_PROFILES.values():
        steps = list(map(_time, profile.steps))
        same = len(steps) - 1 - max(index for index, step in enumerate(steps) if step != steps[-1])
        waits = ", ".join([*steps[:-same], f"then {steps[-1]} each"] if same > 1 else steps)
        end = f"after attempt {len(steps) + 1}"
        if profile.budget < math.inf:
            budget = _time(profile.budget)
            end = f"after the first failure that comes {budget} or more after the first attempt"
        lines.append(f"| `{profile.name}` | {waits} | {end} | {_time(profile.retry_after_limit)} |")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds * 1000:g} ms"


def command_table() -> str:
    """Write the commands with what they are for."""
    return _table(["command", ""], [[f"`smproxy {each.name}`", each.help] for each in COMMANDS])


GENERATED = (
    Generated("docs/commands.md", "commands", command_table),
    Generated("docs/bad-networks.md", "profiles", network_profiles),
    Generated("docs/add-a-fault.md", "example", fault_example),
    Generated("docs/add-a-fault.md", "layers", fault_layers),
    Generated("docs/add-a-hook-format-or-sink.md", "format", hook_format),
    Generated("docs/add-a-hook-format-or-sink.md", "sink", sink_members),
    Generated("README.md", "options", option_table),
    Generated("docs/architecture.md", "session life", life_diagram),
    Generated("docs/architecture.md", "way of the customer scope", scope_way),
    Generated("docs/faults.md", "faults", fault_table),
    Generated("docs/conformance.md", "conformance rows", conformance_table),
    Generated("docs/faults.md", "http faults", http_fault_table),
    Generated("docs/hooks.md", "retries", retry_table),
)
FILES = (
    GeneratedFile("docs/smproxy.toml", config_reference),
    *(GeneratedFile(page, write) for page, write in JS_FILES.items()),
)


KB, MB = 1 << 10, 1 << 20
RELAY = RelayLimits()
NUMBERS = (
    Number("docs/hooks.md", "up to {} are served at a time", Limits().in_flight),
    Number("docs/hooks.md", "and {} MiB; what is pending", Retention().bytes / MB),
    Number("docs/hooks.md", "delivers for up to {} seconds", FLUSH),
    Number("docs/hooks.md", "{} seconds, from connecting to the end of the answer", DEFAULT_TIMEOUT),
    Number("docs/hooks.md", "Of the answer's body up to {} KiB are read", MAX_ANSWER / KB),
    Number("docs/hooks.md", "no answer within {} s | tried again", DEFAULT_TIMEOUT),
    Number("docs/hooks.md", "and more than {} KiB", MAX_INCOMING / KB),
    Number("docs/hooks.md", "the listener is {} MiB behind", BROADCAST_LIMIT / MB),
    Number("docs/hook-tools.md", "one that is {} MiB behind", BROADCAST_LIMIT / MB),
    Number("docs/hook-tools.md", "when there is none within {} s", FORWARD_TIMEOUT),
    Number("docs/signaling.md", "the stream name; at most {} characters", NAME_LIMIT),
    Number("docs/signaling.md", "a JSON object as a string, {} KiB at most", META_LIMIT / KB),
    Number("docs/signaling.md", "does not take the handshake within {} s", RELAY.dial_timeout),
    Number("docs/signaling.md", "to a side that has been silent for {} s", RELAY.idle_ping),
    Number("docs/signaling.md", "that stays silent for another {} s", RELAY.idle_timeout),
    Number("docs/signaling.md", "A message over {} MiB", RELAY.max_message / MB),
    Number("docs/whip.md", "a body over {} KiB", MAX_SDP / KB),
    Number("docs/whip.md", "{} sessions are open", MAX_SESSIONS),
    Number("docs/control-api.md", "the last {} that ended", KEPT),
    Number("docs/control-api.md", "the first {} KiB and the last", FIRST / KB),
    Number("docs/control-api.md", "session, {} MiB of all sessions", BUDGET / MB),
    Number("docs/control-api.md", "a frame of more than {} KiB", FRAME / KB),
    Number("docs/recording.md", "less than {} MiB are left", KEEP_FREE / MB),
    Number("docs/authentication.md", "no answer within {} s", AUTH_TIMEOUT),
    Number("docs/hook-formats.md", "for {} days", MAX_AGE / 86_400),
    Number("docs/hook-formats.md", "for {} minutes", DUPLICATE_WINDOW / 60),
    Number("docs/hook-formats.md", "no acknowledgement within {} s", DEFAULT_TIMEOUT),
    Number("README.md", "Messages up to {} MiB", RELAY.max_message / MB),
    Number("README.md", "request heads up to {} KiB", HEAD_LIMIT / KB),
)


def help_problems() -> list[str]:
    """Compare the option table with what ``serve --help`` prints."""
    parser = make_parser()
    commands = next(action for action in parser._actions if action.dest == "==SUPPRESS==" or action.choices)
    assert commands.choices is not None
    text = " ".join(commands.choices["serve"].format_help().split())  # type: ignore[index]
    problems = []
    for option in OPTIONS:
        if option.flag is not None and (option.flag not in text or " ".join(option.help.split()) not in text):
            problems.append(f"serve --help does not explain {option.flag} as the option table does")
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help", "--config"}
    known = {option.flag for option in OPTIONS}
    problems += [f"serve --help has {flag}, the option table has not" for flag in sorted(flags - known)]
    return problems


def link_problems() -> list[str]:
    """Look for relative links that lead nowhere."""
    problems = []
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                problems.append(f"{page.relative_to(ROOT)}: {target} is not there")
    return problems


def name_problems() -> list[str]:
    """Look for classes and modules of ours that a page names and that are not there."""
    modules = {
        f"/{path.relative_to(ROOT)}" for folder in ("proxy", "tests", "bench") for path in (ROOT / folder).rglob("*.py")
    }
    classes = set(
        re.findall(r"^class (\w+)", "\n".join(path.read_text() for path in PACKAGE.rglob("*.py")), re.MULTILINE)
    )
    problems = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        names = re.findall(r"`([\w/]+\.py)`", page.read_text())
        missing = [name for name in names if not any(module.endswith(f"/{name}") for module in modules)]
        if page.name == "architecture.md":
            missing += [name for name in re.findall(r"`([A-Z]+[a-z]\w*)`", page.read_text()) if name not in classes]
        problems += [f"{page.relative_to(ROOT)}: there is no {name}" for name in missing]
    return problems


def docstring_problems() -> list[str]:
    """Look for docstrings whose first line is too long to be read at a glance, in a list or an editor's hint."""
    problems = []
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            if text is not None and len(text.partition("\n")[0]) > FIRST_LINE:
                line = node.body[0].lineno if isinstance(node, documented) else 0
                where = f"{path.relative_to(ROOT)}:{line}"
                problems.append(f"{where}: the docstring's first line is longer than {FIRST_LINE} characters")
    return problems


def class_name_problems() -> list[str]:
    """Look for names that stand for more than one class, so that a reader has to ask which one is meant."""
    classes: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    shared = {name: places for name, places in classes.items() if len(places) > 1}
    problems = [
        f"{name} is shared no longer: take it out of SHARED_NAMES" for name in SHARED_NAMES if name not in shared
    ]
    for name, places in shared.items():
        if name not in SHARED_NAMES:
            problems.append(f"{', '.join(places)}: {name} names more than one class: rename the less public one")
    return problems


def guarantee_problems() -> list[str]:
    """Return what docs/guarantees.md names that is not there, and what its table of states does not name."""
    page = "docs/guarantees.md"
    text = (ROOT / page).read_text()
    problems = []
    for file, name in re.findall(r"`(tests/[^`]+\.py)::(\w+)`", text):
        path = ROOT / file
        if not path.is_file() or not re.search(rf"def {name}\(", path.read_text()):
            problems.append(f"{page}: there is no {file}::{name}")
    for model in re.findall(r"model `(\w+)`", text):
        if not (ROOT / "tests" / "simulation" / "node" / "models" / f"{model}.py").is_file():
            problems.append(f"{page}: there is no model {model}")
    if states.listed() != states.known():
        problems.append(f"{page}: the table of states is not that of the code: run make states")
    return problems


def main() -> int:
    """Run the checks, or write what is generated."""
    problems = help_problems()
    for part in (*GENERATED, *NUMBERS, *FILES):
        text, wanted = part.expected()
        if "--write" in sys.argv:
            (ROOT / part.page).write_text(wanted)
        elif text != wanted:
            what = repr(part.sentence) if isinstance(part, Number) else part.name
            problems.append(f"{part.page}: {what} is not that of the code: run tests/check_docs.py --write")
    problems += link_problems()
    problems += name_problems()
    problems += docstring_problems()
    problems += class_name_problems()
    problems += guarantee_problems()
    print("\n".join(problems) or "The documentation agrees with the code.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
