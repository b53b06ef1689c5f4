"""What the unmodified SDK 11 makes of an authentication back end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from smproxy.testing import WebhookReceiver
from smproxy.testing.auth_back_end import AuthBackEnd

from tests.browser.conftest import OpenPage, StartSimulator
from tests.browser.test_publish import config
from tests.helpers import scaled


@pytest_asyncio.fixture(loop_scope="session")
async def back_end() -> AsyncIterator[AuthBackEnd]:
    """A back end that denies ann."""
    async with AuthBackEnd() as back_end:
        back_end.deny("ann")
        yield back_end


async def test_websocket(
    start_simulator: StartSimulator, open_page: OpenPage, receiver: WebhookReceiver, back_end: AuthBackEnd
) -> None:
    """publish() rejects for the user that is denied, and resolves for another; each is asked about once."""
    simulator = await start_simulator(auth_uri=back_end.url)
    page = await open_page()
    refused = await page.publish(config(simulator, connectionParams={"username": "ann", "password": "hunter2"}))
    assert not refused.resolved
    assert refused.reason == "NetConnection.Connect.Rejected"
    assert "Connect.Failure" in refused.events
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["message"] == "the back end refused the credentials"
    page = await open_page()
    allowed = await page.publish(config(simulator, connectionParams={"username": "bob", "password": "hunter2"}))
    assert allowed.resolved
    assert [(call.kind, call.username) for call in back_end.calls] == [("validate", "ann"), ("validate", "bob")]
