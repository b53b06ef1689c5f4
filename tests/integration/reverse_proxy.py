"""nginx and HAProxy with the configurations of ``examples/reverse-proxy``, in front of a stream manager."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from smproxy.certificates import CertificateFiles, self_signed

from tests.helpers import scaled
from tests.nats_server import free_port

EXAMPLES = Path(__file__).parents[2] / "examples" / "reverse-proxy"

#: The address that the proxy connects from: another than its clients', so that the two can be told apart.
PROXY_ADDRESS = "127.0.0.9"


@dataclass(frozen=True)
class ReverseProxy:
    """A proxy that runs, the port that it serves https and wss on, and who is to be trusted for that."""

    port: int
    trust: ssl.SSLContext


def _nginx(directory: Path, port: int, upstream: int, files: CertificateFiles) -> list[str]:
    text = _filled(
        "nginx.conf",
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("server 127.0.0.1:5080;", f"server 127.0.0.1:{upstream};"),
        ("/etc/ssl/media.example.com.pem", str(files.certificate)),
        ("/etc/ssl/media.example.com.key", str(files.key)),
    )
    (directory / "stream-manager.conf").write_text(text)
    paths = " ".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {paths} proxy_bind {PROXY_ADDRESS}; include {directory}/stream-manager.conf; }}\n"
    )
    return ["-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]


def _haproxy(directory: Path, port: int, upstream: int, files: CertificateFiles) -> list[str]:
    both = directory / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    text = _filled(
        "haproxy.cfg",
        ("bind :443 ", f"bind 127.0.0.1:{port} "),
        ("server local 127.0.0.1:5080", f"server local 127.0.0.1:{upstream} source {PROXY_ADDRESS}"),
        ("/etc/haproxy/media.example.com.pem", str(both)),
    )
    (directory / "haproxy.cfg").write_text(text)
    return ["-db", "-f", str(directory / "haproxy.cfg")]


_ARGUMENTS: dict[str, Callable[[Path, int, int, CertificateFiles], list[str]]] = {"nginx": _nginx, "haproxy": _haproxy}


def _filled(name: str, *changes: tuple[str, str]) -> str:
    """Return an example with the ports and files of a test."""
    text = (EXAMPLES / name).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def reverse_proxy(name: str, upstream: int, directory: Path) -> AsyncIterator[ReverseProxy]:
    """Run a proxy, ``nginx`` or ``haproxy``, in front of a port of this machine."""
    binary = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        pytest.fail(f"no {name}: install it (Debian, Ubuntu: apt-get install {name}), as make test does", pytrace=False)
    files = self_signed(directory / "tls", [], datetime.datetime.now(datetime.UTC))
    port = free_port()
    log = directory / f"{name}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            binary, *_ARGUMENTS[name](directory, port, upstream, files), stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(scaled(20)):
            while not await _listens(port):
                assert process.returncode is None, log.read_text()
        yield ReverseProxy(port, ssl.create_default_context(cafile=str(files.authority)))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
