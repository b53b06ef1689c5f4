"""The relays that this one is measured beside. Each is a class with a name, a way to say that it is missing, and a command."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BENCH = Path(__file__).parent
#: The environment of the peers that are Python programs (``make bench-setup``).
PEER_PYTHON = BENCH.parent / ".cache" / "bench" / "bin"

NGINX = """
master_process off; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1; proxy_read_timeout 600s; {more}
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "Upgrade";
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  maxconn 9000
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server origin 127.0.0.1:{origin}
"""


class Peer(Protocol):
    """A relay that can be started."""

    name: str

    def missing(self) -> str | None:
        """Say what is not installed; ``None`` when it can run."""

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        """Write what it needs into ``folder`` and return its command line."""


@dataclass
class Product:
    """This project as its users run it: sessions, limits, time-outs, keep-alive, journal and hooks."""

    hook_uri: str
    name: str = "this one, everything on"

    def missing(self) -> str | None:
        return None

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        return [
            sys.executable, "-m", "smproxy", "serve", "--port", str(port), "--no-local-origin",
            "--origin", f"127.0.0.1:{origin}", "--hook-uri", self.hook_uri, "--data-dir", str(folder / "data"),
            "--pass-switch", "--log-level", "warning",
        ]  # fmt: skip


@dataclass
class Nginx:
    """nginx from Debian, as it is or with a buffer that takes an SDP."""

    name: str = "nginx"
    more: str = ""

    def missing(self) -> str | None:
        return None if shutil.which("nginx") else "nginx: apt-get install nginx-light"

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        folder.mkdir(exist_ok=True)
        (folder / "conf").write_text(NGINX.format(folder=folder, port=port, origin=origin, more=self.more))
        return [str(shutil.which("nginx")), "-p", str(folder), "-c", f"{folder}/conf", "-e", f"{folder}/error"]


@dataclass
class Haproxy:
    """haproxy from Debian."""

    name: str = "haproxy"

    def missing(self) -> str | None:
        return None if shutil.which("haproxy") else "haproxy: apt-get install haproxy"

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        folder.mkdir(exist_ok=True)
        (folder / "conf").write_text(HAPROXY.format(port=port, origin=origin))
        return [str(shutil.which("haproxy")), "-f", f"{folder}/conf"]


@dataclass
class Mitmproxy:
    """mitmproxy as a reverse proxy."""

    name: str = "mitmproxy"

    def missing(self) -> str | None:
        return None if (PEER_PYTHON / "mitmdump").exists() else "mitmproxy: make bench-setup"

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        return [
            str(PEER_PYTHON / "mitmdump"), "--quiet", "--mode", f"reverse:http://127.0.0.1:{origin}@{port}",
            "--listen-host", "127.0.0.1", "--set", f"confdir={folder}",
        ]  # fmt: skip


@dataclass
class Script:
    """A relay in a few lines of Python, in ``relays.py``."""

    relay: str
    name: str

    def missing(self) -> str | None:
        return None

    def command(self, folder: Path, port: int, origin: int) -> list[str]:
        return [sys.executable, str(BENCH / "relays.py"), self.relay, str(port), str(origin)]
