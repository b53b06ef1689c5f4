"""Replays a Dockerfile without Docker: its COPY and RUN steps in a directory that stands for the root of the image."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.clone import environment, virtual_environment
from tests.helpers import scaled


@dataclass
class Image:
    """What a stage of a Dockerfile makes."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "0"
    ports: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: str = ""

    def here(self, path: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self.root / path.lstrip("/")

    def variables(self) -> dict[str, str]:
        """Return the environment of its processes."""
        own = {name: self.text(value) for name, value in self.env.items()}
        return environment(**own, HOME=str(self.root))

    def text(self, text: str) -> str:
        """Put the root in front of the image's own paths."""
        return re.sub(r"(?<![\w.:/])/(?=(?:opt|src|data)\b)", f"{self.root}/", text)


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments."""
    text = re.sub(r"\\\n\s*", "", "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")))
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def replay(path: Path, context: Path, roots: Path) -> Image:
    """Carry out the steps of all stages; return the last.

    What the network gives is there already: an environment that is made has all that is installed here but this project. Users
    are not made.
    """
    stages: dict[str, Image] = {}
    image = Image(roots)
    for name, rest in instructions(path):
        match name:
            case "FROM":
                base, _, alias = rest.partition(" AS ")
                assert re.fullmatch(r"python:3\.\d+-slim", base)
                image = Image(roots / (alias or "image"))
                image.root.mkdir(parents=True)
                stages[alias] = image
            case "WORKDIR":
                image.directory = rest
                image.here(rest).mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(image, stages, rest, context)
            case "RUN":
                _run(image, rest)
            case "ENV":
                for pair in shlex.split(rest):
                    key, _, value = pair.partition("=")
                    image.env[key] = value.replace("$PATH", os.environ["PATH"])
            case "USER":
                image.user = rest
            case "EXPOSE":
                image.ports = rest.split()
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case "CMD":
                image.command = json.loads(rest)
            case "HEALTHCHECK":
                image.health = rest.partition("CMD ")[2]
            case _:
                assert name == "VOLUME", f"{name} is not replayed"
    return image


def _copy(image: Image, stages: dict[str, Image], rest: str, context: Path) -> None:
    words = rest.split()
    source, target = context, words[-1]
    if words[0].startswith("--from="):
        other = stages[words.pop(0).removeprefix("--from=")]
        copied = image.here(target)
        shutil.copytree(other.here(words[0]), copied, symlinks=True)
        for script in (copied / "bin").iterdir():  # which name the interpreter where they were made
            if not script.is_symlink() and script.read_bytes().startswith(b"#!"):
                script.write_text(script.read_text().replace(str(other.root), str(image.root)))
        return
    for word in words[:-1]:
        where = image.here(target if target.startswith("/") else f"{image.directory}/{target}")
        if (source / word).is_dir():
            shutil.copytree(source / word, where, dirs_exist_ok=True)
        else:
            where.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / word, where)


def _run(image: Image, script: str) -> None:
    """Run the commands of a step one after another."""
    for command in script.split(" && "):
        words = shlex.split(command.strip())
        if words[:3] == ["python", "-m", "venv"]:
            made = image.here(words[3])
            made.parent.mkdir(parents=True, exist_ok=True)
            python = virtual_environment(made)
            pip = python.with_name("pip")
            pip.write_text(f'#!/bin/sh\nexec "{python}" -m pip "$@"\n')
            pip.chmod(0o755)
        elif words[0] != "useradd" and (words[0] != "chown" or os.geteuid() == 0):
            parts = [image.text(word) if word.startswith("/") else word for word in words]
            done = subprocess.run(
                parts, cwd=image.here(image.directory), env=image.variables(), capture_output=True, text=True,
                timeout=scaled(120), check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
