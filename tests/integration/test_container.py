"""The image, the composition and the action: what they say is carried out, without a daemon or a cloud."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from smproxy.cli import make_parser
from smproxy.testing import WebhookReceiver

from tests.clone import clone, environment, virtual_environment
from tests.dockerfile import Image, instructions, replay
from tests.helpers import eventually_reads, scaled
from tests.integration.conftest import MakePublisher, StartSimulator, published
from tests.integration.test_examples import ci_file

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "examples/compose"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """The image of the Dockerfile, made from what the repository holds."""
    return replay(ROOT / "Dockerfile", clone(tmp_path / "context"), tmp_path / "roots")


@pytest.mark.media
async def test_the_image_runs(image: Image) -> None:
    """The image's process is healthy by its own check, publishes on one UDP port, keeps data in /data, and ends."""
    assert image.user not in ("0", "root")
    assert image.ports == ["5080", f"{image.env['SMPROXY_MEDIA_PORT']}/udp"]
    variables = image.variables() | {"SMPROXY_PORT": free_port(), "SMPROXY_MEDIA_PORT": "0"}
    command = [*image.entrypoint, *image.command]
    check = f"timeout {scaled(20):g} {image.health.replace('--timeout 4', '--timeout 60')}"
    unwell = await asyncio.create_subprocess_shell(
        image.health.replace("--timeout 4", "--timeout 0.2"), env=variables, stderr=asyncio.subprocess.DEVNULL
    )
    assert await unwell.wait() == 1
    program = image.here("/opt/smproxy/bin") / command[0]
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], cwd=image.here(image.directory), env=variables, stdout=asyncio.subprocess.PIPE
    )
    try:
        healthy = await asyncio.create_subprocess_shell(check, env=variables, stdout=asyncio.subprocess.DEVNULL)
        assert await healthy.wait() == 0
        async with aiohttp.ClientSession() as http:
            base = f"http://127.0.0.1:{variables['SMPROXY_PORT']}/api/v1"
            asked = {"name": "cam", "timeout": min(60, scaled(10))}
            async with http.post(f"{base}/publishers", json=asked) as answer:
                assert (await answer.json())["state"] == "live"
    finally:
        process.terminate()
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert b"Media" in out
    assert b"UDP port" in out
    assert (image.here("/data") / "hooks.db").exists()


def test_what_the_image_is_made_of() -> None:
    """What is copied is what .dockerignore lets through; the check and the ports are those of the documentation."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for name, rest in instructions(ROOT / "Dockerfile") if name == "COPY" and "--from" not in rest
              for word in rest.split()[:-1]}  # fmt: skip
    assert copied == allowed
    page = (ROOT / "docs/containers.md").read_text()
    for name, rest in instructions(ROOT / "Dockerfile"):
        if name == "ENV":
            for variable in re.findall(r"SMPROXY_\w+", rest):
                assert f"`{variable}" in page


async def test_the_composition() -> None:
    """Each service runs a command that there is, on ports that the image opens, with files that are there."""
    services = (await ci_file(COMPOSE / "compose.yaml"))["services"]
    for name in ("stream-manager", "receiver"):
        make_parser().parse_args(services[name]["command"])
        assert (COMPOSE / services[name]["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    exposed = next(rest.split() for name, rest in instructions(ROOT / "Dockerfile") if name == "EXPOSE")
    assert [port.partition(":")[2] for port in services["stream-manager"]["ports"]] == exposed
    uri = services["stream-manager"]["command"][2]
    assert uri == f"http://receiver:{services['receiver']['command'][-1]}/hooks"
    for service in services.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("."):
                assert (COMPOSE / volume.partition(":")[0]).exists(), volume
    scraped = await ci_file(COMPOSE / "prometheus.yml")
    assert scraped["scrape_configs"][0]["static_configs"] == [{"targets": ["stream-manager:5080"]}]
    cluster = (await ci_file(COMPOSE / "cluster.yaml"))["services"]
    names = [name for name, service in cluster.items() if "build" in service]
    for name in names:
        settings = make_parser().parse_args(cluster[name]["command"])
        assert (settings.node_id, settings.advertise) == (name, name)
        port = cluster[name]["ports"][1].partition(":")[0]
        assert port == str(settings.media_port or 5100)
    scraped = await ci_file(COMPOSE / "prometheus-cluster.yml")
    (scrape,) = scraped["scrape_configs"]
    assert scrape["http_sd_configs"] == [{"url": f"http://{name}:5080/metrics/targets"} for name in names]
    for path in (COMPOSE / "grafana/provisioning").glob("*/*.yml"):
        assert (await ci_file(path))["apiVersion"] == 1


@pytest.mark.media
async def test_the_dashboard(
    receiver: WebhookReceiver, start_simulator: StartSimulator, publisher: MakePublisher
) -> None:
    """Each number of the Grafana dashboard is a metric of a stream manager with these labels."""
    simulator = await start_simulator(receiver)
    await published(simulator, publisher(simulator, "cam"))

    async def read() -> dict[str, set[str]]:
        accept = {"Accept": "application/openmetrics-text"}
        async with aiohttp.ClientSession() as http, http.get(f"{simulator.rest_url}/metrics", headers=accept) as answer:
            families = text_string_to_metric_families(await answer.text())
            found: dict[str, set[str]] = {}
            for family in families:
                found |= {name: found.get(name, set()) for name in (family.name, f"{family.name}_total")}
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
            return found

    known = await eventually_reads(read, lambda found: bool(found.get("smproxy_media_rtt_seconds_bucket")), 20)
    dashboard = json.loads((COMPOSE / "grafana/stream-manager.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 12
    for expression in expressions:
        for metric in re.findall(r"smproxy_\w+", expression):
            assert metric in known, expression
            for label in (
                word.strip() for words in re.findall(r"by \((.*?)\)", expression) for word in words.split(",")
            ):
                assert label in known[metric] or not known[metric], expression
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.media
async def test_the_action(tmp_path: Path) -> None:
    """The action's steps install it, start it with options, wait, and tell its URL and where its files are."""
    action = await ci_file(ROOT / "action/action.yml")
    repository = clone(tmp_path / "repository")
    temporary = tmp_path / "runner"
    temporary.mkdir()
    python = virtual_environment(temporary / "smproxy-venv")
    python.with_name("pip").write_text(f'#!/bin/sh\nexec "{python}" -m pip "$@"\n')
    python.with_name("pip").chmod(0o755)
    files = {name: temporary / name for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_ENV")}
    for file in files.values():
        file.write_text("")
    inputs = {name: str(value["default"]) for name, value in action["inputs"].items()}
    inputs |= {"port": free_port(), "options": "--customer-scope acme --fault publish-denied:id=bad"}
    variables = environment(
        RUNNER_TEMP=str(temporary), GITHUB_ACTION_PATH=str(repository / "action"),
        **{name: str(file) for name, file in files.items()},
    )  # fmt: skip

    async def bash(script: str, step: dict[str, Any] | None = None) -> str:
        own = {name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], value)
               for name, value in ((step or {}).get("env") or {}).items()}  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-eo", "pipefail", "-c", script], cwd=temporary, env=variables | own,
            capture_output=True, text=True, timeout=scaled(120), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    try:
        for step in action["runs"]["steps"]:
            assert step["shell"] == "bash"
            # The environment is there already: only making it anew would download what it has.
            await bash(step["run"].replace('python3 -m venv "$RUNNER_TEMP/smproxy-venv"', "true"), step)
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        assert outputs["url"] == f"http://localhost:{inputs['port']}"
        assert set(action["outputs"]) == set(outputs)
        async with aiohttp.ClientSession() as http, http.get(f"{outputs['url']}/api/v1/faults") as answer:
            assert [fault["fault"] for fault in (await answer.json())["faults"]] == ["publish-denied"]
        assert (Path(outputs["directory"]) / "smproxy.log").exists()
    finally:
        exported = dict(line.split("=", 1) for line in files["GITHUB_ENV"].read_text().splitlines())
        variables |= exported
        await bash('"$RUNNER_TEMP/smproxy-venv/bin/smproxy" stop')
