"""Log lines stay lines, whatever a client puts into them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from smproxy.logs import configure_logging


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ("", "smproxy", "websockets", "aiohttp", "aioice", "aiortc")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("form", ["text", "json"])
def test_one_line(form: str) -> None:
    """A message with line breaks and terminal escapes is one line, with nothing in it that a terminal would obey."""
    stream = io.StringIO()
    configure_logging("info", form, stream)
    logging.getLogger("smproxy.test").info("name %s", "a\r\nb\x1b[2Jc\x9b\u202e")
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    assert form == "text" or json.loads(line)["message"] == "name a\r\nb\x1b[2Jc\x9b\u202e"


@pytest.mark.usefixtures("restored")
def test_libraries_are_quiet() -> None:
    """At the most talkative level no library's lines get through: they hold whole URLs, and so passwords."""
    stream = io.StringIO()
    configure_logging("debug", "text", stream)
    for name in ("aiohttp.server", "websockets.server"):
        logging.getLogger(name).error("GET /?password=hunter2")
    assert stream.getvalue() == ""
