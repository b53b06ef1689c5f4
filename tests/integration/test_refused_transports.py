"""What hooks and clients get of a handshake that fails and of values of another type, through the whole stream manager."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from smproxy.signaling.payloads import ConnectError
from smproxy.testing import Publisher, PublishError, WebhookReceiver
from smproxy.testing.publisher_peer import PublishingPeer
from websockets.asyncio.client import connect

from tests.helpers import scaled
from tests.integration.conftest import StartSimulator


@pytest.mark.parametrize("transport", ["websocket", "whip"])
async def test_a_failed_dtls_handshake_is_error_6(
    transport: str, start_simulator: StartSimulator, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M5: over the WebSocket the client gets the reason, over WHIP the end of its connection; the hook has error 6 at once."""
    simulator = await start_simulator(receiver)
    make = PublishingPeer.offer if transport == "websocket" else PublishingPeer.complete_offer

    def forged(sdp: str) -> str:
        wrong = f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}"
        return "\r\n".join(wrong if line.startswith("a=fingerprint") else line for line in sdp.split("\r\n"))

    async def with_another_fingerprint(peer: PublishingPeer) -> object:
        made = await make(peer)  # type: ignore[operator]
        return forged(made) if isinstance(made, str) else (forged(made[0]), made[1])

    monkeypatch.setattr(PublishingPeer, make.__name__, with_another_fingerprint)
    publisher = Publisher(
        simulator.url,
        stream="s1",
        params={"customerScope": "acme"},
        transport=transport,  # type: ignore[arg-type]
        timeout=scaled(5),
    )
    with pytest.raises(PublishError) as failed:
        await publisher.publish()
    if transport == "websocket":
        assert "DTLS handshake failed" in str(failed.value)
        assert "a=fingerprint" in str(failed.value)
    hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
    assert hook.event["payload"]["error"] == ConnectError.DTLS_FAILED
    await publisher.close()


async def test_numbers_as_names_reach_hooks_and_timeline(
    start_simulator: StartSimulator, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    """S1: a question with a number is answered; one with an object is refused in words, and the hook is a rejection."""
    simulator = await start_simulator(receiver)
    url = f"{simulator.url}?id=4711&customerScope=acme"
    async with connect(url, proxy=None) as socket:
        assert "Connect.Success" in str(await socket.recv())
        await socket.send('{"isAvailable":4711,"bundle":true}')
        assert json.loads(await socket.recv()) == {"isAvailable": False}
        await socket.send('{"isAvailable":{"name":"s1"},"bundle":true}')
        error = json.loads(await socket.recv())
        assert error["data"]["message"] == 'isAvailable: "isAvailable" must be text, not an object.'
        hook = await receiver.wait_for(lambda hook: hook.state == "connect_error", scaled(5))
        assert hook.event["payload"]["error"] == ConnectError.REJECTED
