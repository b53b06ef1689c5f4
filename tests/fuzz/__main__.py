"""Fuzz for a while, guided by coverage: ``python -m tests.fuzz all`` or ``python -m tests.fuzz stun --seconds 600``."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import platform
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

try:
    import atheris
except ImportError:
    # Its wheels are for Linux on x86_64 only.
    print("NOTHING IS FUZZED: there is no atheris for this machine (pip install atheris).")
    sys.exit(0 if (sys.platform, platform.machine()) != ("linux", "x86_64") else 1)

with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["smproxy"]):  # it names each module
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.test_fuzz import CORPUS, bounded

#: Where an input is put that breaks a promise; one that is mended goes into the corpus.
FOUND = Path(".cache/fuzz-found")
#: Wall-clock seconds after which one input counts as stuck; on a busy machine only :func:`bounded` is exact.
_STUCK = 300
_EXECUTED = re.compile(r"number_of_executed_units:\s*(\d+)")


def fuzz(name: str, seconds: int, seed: int) -> None:
    """Fuzz one target in this process, which ends with it: status 0, or another when something was found."""
    target = TARGETS[name]

    def run(data: bytes) -> None:
        try:
            with bounded():
                target.run(data)
        except BaseException:
            (FOUND / f"{name}-{hashlib.sha1(data).hexdigest()[:12]}").write_bytes(data)
            raise

    known = CORPUS / name
    FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, example in enumerate(target.seeds):
            (Path(folder) / f"example-{number}").write_bytes(example)
        words = Path(folder) / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        limits = [
            f"-seed={seed}",
            f"-max_total_time={seconds}",
            f"-timeout={_STUCK}",
            "-rss_limit_mb=1024",
            "-max_len=6000",
        ]
        places = [folder, *([str(known)] if known.is_dir() else [])]
        prefix = f"-artifact_prefix={FOUND}/{name}-"
        atheris.Setup([sys.argv[0], *limits, f"-dict={words}", "-print_final_stats=1", prefix, *places], run)
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def fuzz_all(names: list[str], seconds: int, jobs: int, seed: int) -> int:
    """Fuzz targets, some at a time, each in a process of its own; print a line for each, return how many failed."""
    failed = 0
    waiting = list(names)
    running: dict[int, tuple[str, Path, float]] = {}
    with tempfile.TemporaryDirectory() as folder, _ended(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                log = Path(folder) / name
                running[_forked(name, seconds, seed, log)] = (name, log, time.monotonic())
            process, status = os.wait()
            name, log, began = running.pop(process)
            failed += status != 0
            said = log.read_text(errors="replace")
            executed = _EXECUTED.findall(said)
            outcome = "FOUND SOMETHING" if status else "nothing found"
            print(
                f"{name:16} {outcome:15} {executed[-1] if executed else '?':>9} inputs {time.monotonic() - began:4.0f} s",
                flush=True,
            )
            if status:
                print(said[-3000:], flush=True)
    return failed


def _forked(name: str, seconds: int, seed: int, log: Path) -> int:
    """Fuzz in a fork, which has the instrumented modules already; return its process id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    try:
        fuzz(name, seconds, seed)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)  # atheris ends the process itself; whatever comes here has failed


@contextlib.contextmanager
def _ended(running: dict[int, tuple[str, Path, float]]) -> Iterator[None]:
    """Kill what still runs when this process is told to stop."""
    try:
        yield
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)


def be_idle() -> None:
    """Take only what processor time nobody else wants."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


def main() -> int:
    """Fuzz what was asked for; return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=["all", *TARGETS])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the fuzzer's random numbers; 0: another each time")
    parser.add_argument("--jobs", type=int, default=1, help="how many targets at a time")
    parser.add_argument("--idle", action="store_true", help="at the lowest priority, beside other work")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that the forks end, too
    if options.idle:
        be_idle()
    names = list(TARGETS) if options.target == "all" else [options.target]
    return fuzz_all(names, options.seconds, options.jobs, options.seed) > 0


if __name__ == "__main__":
    sys.exit(main())
