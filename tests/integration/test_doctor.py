"""``smproxy doctor`` and ``smproxy completion``."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import scaled


def smproxy(*arguments: str, cwd: Path, **environ: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SMPROXY_")}
    done = subprocess.run(
        [sys.executable, "-m", "smproxy", *arguments],
        cwd=cwd, env=clean | environ, capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


#: Completes a word as the shell does when somebody presses the tab key.
BASH = """source {0}/_smproxy; COMP_WORDS=(smproxy fau); COMP_CWORD=1
$(complete -p smproxy | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${{COMPREPLY[@]}}"""
ZSH = "fpath=({0} $fpath); autoload -Uz compinit; compinit -u -D; autoload +X _smproxy; echo $_comps[smproxy]"


@pytest.mark.media
def test_everything(tmp_path: Path) -> None:
    """Each thing has a finding; media of both codecs really flows; where nothing has failed the exit code is 0."""
    code, out, err = smproxy("doctor", "--port", "0", "--json", cwd=tmp_path)
    findings = {line["name"]: line for line in map(json.loads, out.splitlines())}
    assert (code, err) == (0, ""), out
    for name in ("media with VP8 and Opus", "media with H264 and Opus", "port 0/tcp", "data directory", "candidates"):
        assert findings[name]["status"] == "works", findings[name]
    assert {"python", "libraries", "browser", "vendor SDK", "NATS", "ffmpeg", "coturn"} <= set(findings)
    for finding in findings.values():
        assert finding["status"] == "works" or finding["advice"], finding
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_work(tmp_path: Path) -> None:
    """A port that is taken and a directory that cannot be are failures with advice, and exit code 1."""
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["--port", port, "--data-dir", str(tmp_path / "file" / "x"), "--skip", "media", "--json"]
        code, out, _ = smproxy("doctor", *arguments, cwd=tmp_path, PATH="/nowhere")
    findings = {line["name"]: line for line in map(json.loads, out.splitlines())}
    assert code == 1
    for name in (f"port {port}/tcp", "data directory"):
        assert (findings[name]["status"], bool(findings[name]["advice"])) == ("failed", True)
    for name in ("browser", "ffmpeg", "coturn"):
        assert (findings[name]["status"], bool(findings[name]["advice"])) == ("missing", True)
    code, _, err = smproxy("doctor", "--skip", "nothing", cwd=tmp_path)
    assert (code, "candidates" in err, err.count("\n")) == (2, True, 1)


def test_colours_only_on_a_terminal(tmp_path: Path) -> None:
    """A terminal gets colours, unless NO_COLOR is set; a pipe never does."""
    arguments = [sys.executable, "-m", "smproxy", "doctor", "--skip", "media", "--port", "0"]
    assert "\x1b" not in smproxy(*arguments[3:], cwd=tmp_path)[1]
    for variables, coloured in (
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        ours, theirs = pty.openpty()
        clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
        with subprocess.Popen(arguments, cwd=tmp_path, env=clean | variables, stdout=theirs) as process:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    shown += (more := os.read(ours, 4096))
                except OSError:  # the end of a terminal
                    break
                if not more:
                    break
            process.wait(scaled(30))
        os.close(ours)
        assert (b"\x1b[32mworks" in shown) is coloured


@pytest.mark.parametrize(
    ("shell", "question", "wanted"),
    [
        ("bash", BASH, "faults"),
        ("fish", "source {0}/_smproxy; complete -C 'smproxy fau'", "faults"),
        ("fish", "source {0}/_smproxy; complete -C 'smproxy serve --reconn'", "--reconnect-window"),
        ("zsh", ZSH, "_smproxy"),
    ],
)  # fmt: skip
def test_completion(tmp_path: Path, shell: str, question: str, wanted: str) -> None:
    """The script is one that the shell takes, and commands and options are completed in it."""
    code, script, err = smproxy("completion", shell, cwd=tmp_path)
    assert (code, err) == (0, "")
    (tmp_path / "_smproxy").write_text(script)
    quiet = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", question.format(tmp_path)],
        env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=scaled(30), check=False,
    )  # fmt: skip
    assert wanted in done.stdout, done.stderr
