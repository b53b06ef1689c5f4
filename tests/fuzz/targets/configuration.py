"""What the owner writes: properties, receivers of hooks, patterns, and faults that a client asks for."""

from __future__ import annotations

import re

from smproxy.faults.catalog import read_simulate
from smproxy.faults.match import _is
from smproxy.faults.parameter import FaultError
from smproxy.hooks.sinks.uris import parse_hook_uri
from smproxy.properties import decode_properties, parse_properties

from tests.fuzz.targets.one_line import one_line


def properties(data: bytes) -> None:
    """A properties file: entries, each from a line that there is, or a ``ValueError`` of one line."""
    try:
        text = decode_properties(data)
    except ValueError as error:
        one_line(str(error))
        return
    lines = len(re.split(r"\r\n|\r|\n", text))
    for key, entry in parse_properties(text).items():
        assert 1 <= entry.line <= lines
        assert isinstance(key, str)


def hook_uris(data: bytes) -> None:
    """A receiver: a sink whose name shows no credentials, or a ``ValueError`` of one line without them."""
    uri = data.decode("utf-8", "replace")
    try:
        shown = parse_hook_uri(uri).name
    except ValueError as error:
        shown = str(error)
        one_line(shown)
    if re.match(r"(scope=[^,]+,)*[a-zA-Z]+://[^/?#]*PASSWORD@", uri) and uri.count("PASSWORD") == 1:
        assert "PASSWORD" not in shown, f"credentials are shown: {shown}"


def patterns(data: bytes) -> None:
    """A pattern of faults means what the regular expression means, in no time."""
    pattern, _, value = data.decode("utf-8", "replace").partition("\n")
    found = _is(pattern, value)
    if pattern.count("*") <= 3 and len(value) < 200:
        assert found is bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value, re.DOTALL))


def simulate(data: bytes) -> None:
    """Faults that a client asks for: at most so many, or a ``FaultError`` of one line."""
    try:
        asked = read_simulate(data.decode("utf-8", "replace"))
    except FaultError as error:
        one_line(str(error))
        return
    assert len(asked) <= 10


TARGETS = {
    "properties": (
        properties,
        (b"a=1\nb : 2\n# c\n d\\\n  e=f\\u0041\n", "\ufeffport=5080\r\n".encode("utf-16"), b"\xef\xbb\xbfx=\xfc"),
        (b"\\", b"\\u00", b"\n", b"\r", b"=", b":", b"#", b"\x00", b"\xff\xfe", b"\x85", b"\xa0"),
    ),
    "hook-uris": (
        hook_uris,
        (
            b"http://u:PASSWORD@localhost:9000/hooks?token=x",
            b"scope=acme,https://PASSWORD@[::1]/",
            b"nats://a:PASSWORD@h:4222/subject",
        ),
        (b"scope=", b"://", b"@", b"[", b"]", b":", b"%", b"?", b"#", b"PASSWORD@", b"http", b"nats", b"\x00"),
    ),
    "patterns": (
        patterns,
        (b"cam-*\ncam-1", b"*a*b*\nxxaxxbxx", b"**\n", b"[a]*\n[a]b"),
        (b"*", b"\n", b"**", b"?", b"[a]"),
    ),
    "simulate": (
        simulate,
        (
            b"publish-denied",
            b"hook-drop:event=connected:probability=0.5,hook-delay:seconds=1",
            b"http-error:status=401",
        ),
        (b":", b",", b"=", b"seconds=", b"probability=", b"nan", b"inf", b"1e999", b"hook-drop", b"seed="),
    ),
}
