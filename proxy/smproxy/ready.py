"""What ``smproxy serve`` tells programs when it is ready: a file, and a line of JSON."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smproxy import __version__
from smproxy.addresses import url_host
from smproxy.simulator import Simulator


def ready_facts(simulator: Simulator) -> dict[str, Any]:
    """Return where the server is reached from this machine, and its process."""
    host, tls_port = url_host(simulator.settings.host), simulator.tls_port
    return {
        "url": f"http://{host}:{simulator.port}",
        "port": simulator.port,
        "ports": list(simulator.ports),
        "proxy": simulator.url,
        "tlsUrl": None if tls_port is None else f"https://{host}:{tls_port}",
        "tlsPorts": list(simulator.tls_ports),
        "mediaPort": simulator.media_port,
        "sinks": [status.name for status in simulator.dispatcher.status()],
        "pid": os.getpid(),
        "version": __version__,
    }


class ReadyFileError(Exception):
    """The file cannot be written or removed: one line that says why."""


class ReadyFile:
    """The file of ``--ready-file``: it is there, whole, while the server is ready.

    Without a path there is none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def remove(self) -> None:
        """Remove that of a process that was killed.

        Raises:
            ReadyFileError: that is not possible.
        """
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise self._failed(error) from None

    @contextlib.contextmanager
    def there(self, facts: dict[str, Any]) -> Iterator[None]:
        """Have the file, with these facts. Raises as :meth:`remove`."""
        if self._path is None:
            yield
            return
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(facts, indent=2) + "\n")
            os.replace(beside, self._path)
        except OSError as error:
            raise self._failed(error) from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> ReadyFileError:
        why = (error.strerror or str(error)).lower()
        return ReadyFileError(f"--ready-file {self._path}: {why}: give a file in a directory that can be written to")
