"""``smproxy.toml``: the options of ``serve`` in a file, and where the other commands find that instance."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from smproxy.cli import make_parser
from smproxy.commands.configured import apply_config
from smproxy.commands.output import CommandError
from smproxy.settings import Settings, SettingsError, load_settings
from smproxy.settings.options import OPTIONS
from smproxy.settings.reference import config_reference, has_default
from smproxy.settings.toml_file import key_of


def load(path: Path, text: str, flags: dict[str, Any] | None = None, **environ: str) -> Settings:
    """Write a file and load the settings."""
    file = path / "smproxy.toml"
    file.write_text(text)
    return load_settings({"config": str(file), **(flags or {})}, environ)


def test_values(tmp_path: Path) -> None:
    """Texts, numbers, true and false, and lists are read as the flags are."""
    settings = load(
        tmp_path,
        'host = "::1"\nport = [6000, 6001]\nhook-uri = ["http://a/", "http://b/"]\nhook-insecure = true\n'
        'simulate = false\nmedia-gap = 1.5\nno-local-origin = true\norigin = "10.0.0.1"\nfault = "publish-denied:id=x"\n',
    )
    assert (settings.host, settings.ports, settings.media_gap) == ("::1", (6000, 6001), 1.5)
    assert [sink.uri for sink in settings.sinks] == ["http://a/", "http://b/"]
    assert (settings.hook_insecure, settings.simulate, settings.local_origin) == (True, False, False)
    assert [fault.fault for fault in settings.fault] == ["publish-denied"]
    assert settings.proxy_enabled


def test_precedence(tmp_path: Path) -> None:
    """A flag wins over the environment, that over the file, and that over the properties that the file names."""
    properties = tmp_path / "red5-web.properties"
    properties.write_text("proxy.enabled=true\nrest.administratorToken=from-properties\nwebhooks.endpoint=http://p/\n")
    text = f'config = "{properties}"\nport = 1\nadmin-token = "from-file"\nnode = 7\n'
    settings = load(tmp_path, text, {"port": ["3"]}, SMPROXY_NODE="8", SMPROXY_PORT="2")
    assert (settings.ports, settings.node, settings.admin_token) == ((3,), 8, "from-file")
    assert settings.webhooks_endpoint == "http://p/"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "there is no option 'prot': did you mean 'port'?"),
        ("hook_uri = 'http://a/'", "did you mean 'hook-uri'?"), ("zzz = 1", "`smproxy config` lists them"),
        ("[serve]\nport = 1", "there are no sections such as [serve]: write its options at the begin"),
        ("port = 'x'", "port: 'x': a port is a whole number"),
        ("host = ['a', 'b']", "host takes one value, no list"), ("port = {a = 1}", "port takes a text, a number"),
        ("[[serve]]\nport = 1", "no sections such as [serve]"),
        ("port = 1979-05-27", "port takes a text"), ("port = ", "Invalid value"),
        ("hook-uri = 'ftp://ann:hush@x/'", "unknown scheme"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """What cannot be used is one line with the file, the option and what to do, and no secret."""
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    shown = str(error.value)
    assert shown.startswith(str(tmp_path / "smproxy.toml"))
    assert said in shown
    assert "\n" not in shown
    assert "hush" not in shown


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, or no UTF-8, is one line."""
    with pytest.raises(SettingsError, match="give --config a readable file"):
        load_settings({"config": str(tmp_path / "none.toml")}, {})
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe9'")
    with pytest.raises(SettingsError, match="it is not UTF-8"):
        load_settings({"config": str(tmp_path / "latin.toml")}, {})


def test_the_reference(tmp_path: Path) -> None:
    """The reference has every option once, as TOML; with all defaults switched on it changes nothing, nor as it is."""
    text = config_reference()
    keys = [
        line[1:].partition(" = ")[0] for line in text.splitlines() if line.startswith("#") and not line.startswith("# ")
    ]
    assert keys == [key_of(option) for option in OPTIONS if option.flag]
    assert load(tmp_path, text) == Settings()
    lines = [line[1:] for line in text.splitlines() if line.startswith("#") and not line.startswith("# ")]
    assert set(tomllib.loads("\n".join(lines))) == set(keys), "examples are TOML, too"
    given = [line for option, line in zip([o for o in OPTIONS if o.flag], lines, strict=True) if has_default(option)]
    assert len(given) > 25
    alone = replace(load(tmp_path, "\n".join(given)), port=5080, tls_port=5443)  # which are lists when they are given
    assert alone == Settings()


def parsed(*arguments: str, **environ: str) -> argparse.Namespace:
    """Parse a command line, and take in the environment and the file of ``--config``."""
    found = make_parser().parse_args(arguments)
    apply_config(found, environ)
    return found


def test_the_other_commands(tmp_path: Path) -> None:
    """They find host, port, token and directories in the file; what is given on the command line wins."""
    file = tmp_path / "smproxy.toml"
    file.write_text(
        'host = "0.0.0.0"\nport = 6000\nadmin-token = "sesame"\ndata-dir = "/data"\npid-file = "/run/sm.pid"\n'
    )
    to = ["--config", str(file)]
    listing = parsed(*to, "faults", "list")
    assert (listing.url, listing.token) == ("http://localhost:6000", "sesame")
    listing = parsed(*to, "faults", "list", "--url", "http://localhost:5080", "--token", "mine")
    assert (listing.url, listing.token) == ("http://localhost:5080", "mine")
    assert parsed(*to, "wait").url == "http://localhost:6000"
    assert (parsed(*to, "stop").pid_file, parsed(*to, "stop").data_dir) == (Path("/run/sm.pid"), Path("/data"))
    published = parsed(*to, "publish", "--stream", "s")
    assert (published.url, published.token) == ("ws://localhost:6000/streammanager", None)
    assert parsed(*to, "subscribe", "s").url == "ws://localhost:6000/streammanager"
    assert parsed(*to, "serve").config == str(file)
    assert parsed(*to, "serve", "--config", "other").config == "other"
    with pytest.raises(CommandError, match="give --config a readable file"):
        parsed("--config", str(tmp_path / "none.toml"), "reset")


def test_the_other_commands_in_an_environment(tmp_path: Path) -> None:
    """They follow the variables that say where the server is, which come before the file and after the command line."""
    file = tmp_path / "smproxy.toml"
    file.write_text('port = 6000\npid-file = "/run/sm.pid"\n')
    there = {"SMPROXY_PORT": "7000 7001", "SMPROXY_ADMIN_TOKEN": "sesame", "SMPROXY_DATA_DIR": "/data"}
    listing = parsed("nodes", "list", **there)
    assert (listing.url, listing.token) == ("http://localhost:7000", "sesame")
    assert parsed("nodes", "list", "--url", "http://localhost:1", **there).url == "http://localhost:1"
    assert parsed("--config", str(file), "wait", **there).url == "http://localhost:7000"
    assert parsed("publish", "s", **there).url == "ws://localhost:7000/streammanager"
    assert parsed("publish", "s", SMPROXY_HOST="::1").url == "ws://[::1]:5080/streammanager"
    assert parsed("stop", **there, SMPROXY_CONFIG=str(file)).pid_file == Path("/run/sm.pid")
    assert parsed("stop", **there).data_dir == parsed("hooks", "list", **there).data_dir == Path("/data")
    with pytest.raises(CommandError, match="SMPROXY_PORT: 'many': a port is a whole number"):
        parsed("reset", SMPROXY_PORT="many")
    assert parsed("reset", "--url", "http://localhost:1", SMPROXY_PORT="many").url == "http://localhost:1"


@pytest.mark.parametrize("wrong", ['host = "a b"', "prot = 1", "seed = []", "hook-uri = 'ftp://x/'", "tls-cert = 'x'"])
def test_other_commands_take_what_they_need(tmp_path: Path, wrong: str) -> None:
    """What is wrong in a file with other options does not keep a command from finding what it needs."""
    file = tmp_path / "smproxy.toml"
    file.write_text(f'data-dir = "/data"\n{wrong}\n')
    with pytest.raises(SettingsError):
        load_settings({"config": str(file)}, {})
    assert parsed("--config", str(file), "stop").data_dir == Path("/data")
    file.write_text('[serve]\ndata-dir = "/data"\n')
    with pytest.raises(CommandError, match="no sections"):
        parsed("--config", str(file), "stop")
