"""What people test their authentication with: faults, tokens, and a back end in the terminal."""

from __future__ import annotations

import asyncio
import sys

import pytest
from smproxy.simulator import Simulator
from smproxy.testing import PublishRejected, WebhookReceiver

from tests.helpers import eventually, scaled
from tests.integration.conftest import StartSimulator
from tests.integration.lives import last
from tests.integration.test_auth import JWT_SECRET, offer, refusal, told

FAULTS = [
    ("auth-denied", 401, "the back end refused the credentials"),
    ("auth-stalled:after=0.2", 403, "the back end gave no answer within 0.2 s"),
    ("auth-nonsense", 403, "the back end's answer is not JSON"),
]


@pytest.fixture
async def simulator(receiver: WebhookReceiver, start_simulator: StartSimulator) -> Simulator:
    """A simulator without authentication."""
    return await start_simulator(receiver)


@pytest.mark.parametrize(("fault", "status", "reason"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_faults_refuse(
    simulator: Simulator, receiver: WebhookReceiver, fault: str, status: int, reason: str
) -> None:
    """Each fault refuses as a back end would, over each transport, without one; the log of faults has it."""
    _, code, said = await refusal(simulator, f"simulate={fault}")
    assert (code, said) == (1008, f"not allowed: {reason}")
    await eventually(lambda: told(receiver) == ["connect_error"])
    assert (last(receiver)["error"], last(receiver)["message"]) == (3, reason)
    for protocol in ("whip", "whep"):
        answered, headers, _ = await offer(simulator, f"simulate={fault}", protocol)
        assert (answered, headers.get("WWW-Authenticate")) == (status, "Bearer" if status == 401 else None)
    name = fault.partition(":")[0]
    assert [entry.fault for entry in simulator.faults.log()] == [name] * 3
    assert simulator.faults.names_for(last(receiver)["session"]) == [name]


async def test_lazy_close(simulator: Simulator, receiver: WebhookReceiver) -> None:
    """The stream runs, then its session ends with reason 6."""
    simulator.faults.add("auth-lazy-close", after=0.5)
    publisher = simulator.publisher("cam", customerScope="acme")
    try:
        await publisher.publish()
    except PublishRejected:  # the verdict may come first
        await eventually(lambda: "connect_error" in told(receiver))
        return
    finally:
        await publisher.close()
    await eventually(lambda: "disconnected" in told(receiver), 10)


async def run(*arguments: str) -> tuple[int, str, str]:
    """Run ``smproxy``; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smproxy", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), scaled(20))
    return process.returncode or 0, out.decode().strip(), err.decode().strip()


TOKENS = [
    (("jwt", JWT_SECRET, "--role", "red5-publisher", "--room", "live"), None),
    (("jwt", JWT_SECRET, "--expired"), "the token has expired"),
    (("jwt", JWT_SECRET, "--wrong-signature"), "the token's signature is wrong"),
    (("jwt", JWT_SECRET, "--role", "red5-subscriber"), "the token does not allow to publish"),
    (("digest", JWT_SECRET, "cam"), None),
    (("digest", JWT_SECRET, "cam", "--expired"), "the token has expired"),
    (("digest", JWT_SECRET, "cam", "--wrong-signature"), "the token's digest is wrong"),
    (("digest", JWT_SECRET, "cam", "--role", "viewer"), "the token does not allow to publish"),
]


@pytest.mark.parametrize(("arguments", "reason"), TOKENS, ids=[" ".join(row[0][:1] + row[0][2:]) for row in TOKENS])
async def test_tokens(
    start_simulator: StartSimulator, receiver: WebhookReceiver, arguments: tuple[str, ...], reason: str | None
) -> None:
    """What ``smproxy token`` prints is taken by a server with the same secret, or refused for what is wrong with it."""
    code, token, _ = await run("token", *arguments)
    assert code == 0
    simulator = await start_simulator(receiver, auth=f"{arguments[0]}:{JWT_SECRET}")
    if reason is None:
        async with simulator.publisher("cam", customerScope="acme", token=token):
            await eventually(lambda: "peer_joined" in told(receiver))
    else:
        assert (await refusal(simulator, f"token={token}"))[2] == f"not allowed: {reason}"


async def test_unusable_tokens() -> None:
    """A secret that is too short and a field that has a colon are one line."""
    assert await run("token", "jwt", "short") == (
        2, "", "smproxy token: a secret for JSON Web Tokens has 32 bytes at least",
    )  # fmt: skip
    assert (await run("token", "digest", "s", "a:b"))[0] == 2


@pytest.mark.parametrize("verdict", ["allow", "deny"])
async def test_listen(
    start_simulator: StartSimulator, receiver: WebhookReceiver, unused_tcp_port: int, verdict: str
) -> None:
    """``smproxy listen --auth`` allows or denies, and prints who was asked about without the credentials."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smproxy", "listen", "--port", str(unused_tcp_port), "--auth", verdict,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        ready = await asyncio.wait_for(process.stderr.readline(), scaled(20))
        url = f"http://127.0.0.1:{unused_tcp_port}"
        assert f"--auth-uri {url}" in ready.decode()
        simulator = await start_simulator(receiver, auth_uri=url)
        publisher = simulator.publisher("cam", customerScope="acme", username="ann", password="hunter2")
        if verdict == "allow":
            async with publisher:
                pass
        else:
            with pytest.raises(PublishRejected):
                await publisher.publish()
        line = (await asyncio.wait_for(process.stderr.readline(), scaled(20))).decode()
        assert line == f"smproxy listen: publisher 'cam' as 'ann': {verdict}\n"
    finally:
        process.terminate()
        await process.wait()
