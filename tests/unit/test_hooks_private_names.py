"""The check of the private names of nats-py and aiohttp that are used."""

from __future__ import annotations

import pytest
from aiohttp.web_protocol import RequestHandler
from nats.aio.client import Client
from smproxy.hooks.sinks import jetstream
from smproxy.hooks.sinks.uris import parse_hook_uri


def test_the_installed_libraries_have_all_names() -> None:
    """With the pinned versions nothing is missing."""
    assert jetstream.missing_names() == []
    # Slots of its class, set when a connection is made.
    assert {"_upgraded", "_message_tail"} <= set(dir(RequestHandler)), "aiohttp"


async def test_a_missing_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is gone is an error at the start that names it and says what to do."""
    made = Client.__init__

    def changed(self: Client) -> None:
        made(self)
        del self._ps

    monkeypatch.setattr(Client, "__init__", changed)
    with pytest.raises(ValueError, match=r"^hook URI 'nats://host': the installed nats-py has no Client\._ps: install"):
        parse_hook_uri("nats://host")
