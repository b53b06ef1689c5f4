"""Fuzz for a while, guided by coverage: ``python -m tests.fuzz TARGET SECONDS``, or ``all``, a minute each."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

_CORPUS = Path(__file__).parent / "corpus"


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    with atheris.instrument_imports(include=["smproxy"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    found = _CORPUS / name
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        words = Path(folder) / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=6000", f"-dict={words}"]
        places = [folder, *([str(found)] if found.is_dir() else [])]
        prefix = f"-artifact_prefix={_CORPUS.parent}/found-{name}-"
        atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", prefix, *places], target.run)
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> int:
    """Fuzz what was asked for; return 1 if something was found."""
    if len(sys.argv) == 3 and sys.argv[1] != "all":
        fuzz(sys.argv[1], int(sys.argv[2]))
        return 0
    from tests.fuzz.targets import TARGETS

    seconds = sys.argv[2] if len(sys.argv) == 3 else "60"
    failed = []
    for name in TARGETS:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", name, seconds], stderr=subprocess.PIPE, text=True, check=False
        )
        lines = [line for line in ran.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name:16} {'FOUND SOMETHING' if ran.returncode else 'nothing found'}  {' '.join(lines)}", flush=True)
        if ran.returncode:
            failed.append(name)
            print(ran.stderr[-3000:], flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
