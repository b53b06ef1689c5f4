"""Settings come from flags, environment, properties file and defaults, and a bad one is named with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smproxy.properties import parse_properties
from smproxy.serve import add_arguments
from smproxy.settings import Settings, SettingsError, load_settings, unknown_variables
from smproxy.settings.option_values import Address
from smproxy.settings.options import OPTIONS

FIXTURE = Path(__file__).parents[2] / "fixtures/red5-web.properties"


def test_defaults() -> None:
    """Without any source the settings are the documented defaults, with the proxy enabled."""
    settings = load_settings({}, {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.proxy_enabled) == ("127.0.0.1", 5080, True)


def test_precedence(tmp_path: Path) -> None:
    """A flag wins over the environment, which wins over the properties file, which wins over the default."""
    config = tmp_path / "red5-web.properties"
    config.write_text("proxy.enabled=true\nrest.administratorToken=from-file\nwebhooks.endpoint=http://file.example/\n")
    environ = {"SMPROXY_ADMIN_TOKEN": "from-environment", "SMPROXY_PORT": "6000"}
    settings = load_settings({"config": str(config), "port": "7000"}, environ)
    assert settings.ports == (7000,)
    assert settings.admin_token == "from-environment"
    assert settings.webhooks_endpoint == "http://file.example/"
    assert settings.node == 1


def test_real_properties_file() -> None:
    """A file in the form of the real one is read, with its unknown keys left alone."""
    settings = load_settings({"config": str(FIXTURE)}, {})
    assert settings.proxy_enabled
    assert settings.admin_token == "xyz123"
    assert settings.default_app == "live"
    assert [(sink.uri, sink.format) for sink in settings.sinks] == [("http://127.0.0.1:8000/hooks", "red5")]


@pytest.mark.parametrize(
    ("text", "enabled"), [("proxy.enabled=false", False), ("proxy.enabled: TRUE ", True), ("a=b", False)]
)
def test_proxy_enabled(tmp_path: Path, text: str, enabled: bool) -> None:
    """With a file, its ``proxy.enabled`` decides; a file that does not say leaves the proxy off, as the real server does."""
    config = tmp_path / "red5-web.properties"
    config.write_text(text)
    assert load_settings({"config": str(config)}, {}).proxy_enabled is enabled


def test_empty_endpoint(tmp_path: Path) -> None:
    """``webhooks.endpoint`` may be present and empty, as the real file has it when it is unused."""
    config = tmp_path / "red5-web.properties"
    config.write_text("proxy.enabled=true\nwebhooks.endpoint=\n")
    assert load_settings({"config": str(config)}, {}).sinks == ()


def test_malformed_value_in_file(tmp_path: Path) -> None:
    """A malformed value of a known key is refused with file, line and reason."""
    config = tmp_path / "red5-web.properties"
    config.write_text("# comment\n\nproxy.enabled=perhaps\n")
    with pytest.raises(SettingsError, match=r"red5-web\.properties:3: proxy\.enabled: 'perhaps': it is true or false"):
        load_settings({"config": str(config)}, {})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"port": "eighty"}, "--port: 'eighty'"),
        ({"port": "65536"}, "--port: '65536'"),
        ({"origin": ["host:0"]}, "--origin: 'host:0'"),
        ({"origin": ["http://x"]}, "--origin"),
        ({"hook_uri": ["ftp://x"]}, "--hook-uri: hook URI 'ftp://x'"),
        ({"customer_scope": " "}, "it takes a name of at most 255 characters, required, or optional"),
        ({"media_gap": "-1"}, "--media-gap"),
        ({"admin_token": ""}, "--admin-token"),
        ({"allow_host": ["localhost:9000"]}, "without a port"),
        ({"tls_self_signed": True, "data_dir": ":memory:"}, "--data-dir"),
        ({"media_gap": "6"}, "longer than --media-gap"),
        ({"tls_cert": "x.pem"}, "go together"),
        ({"local_origin": True}, "--no-local-origin leaves no origin"),
        ({"config": "/nonexistent/red5-web.properties"}, "No such file"),
    ],
)
def test_bad_flag(flags: dict[str, Any], message: str) -> None:
    """A bad flag gives one line that names the flag and what was wrong with it."""
    with pytest.raises(SettingsError) as error:
        load_settings(flags, {})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_variable() -> None:
    """A bad environment variable is named as such."""
    with pytest.raises(SettingsError, match="SMPROXY_NODE: 'x'"):
        load_settings({}, {"SMPROXY_NODE": "x"})


def test_secrets_are_not_shown() -> None:
    """Neither the settings' representation nor an error holds the token or a password in a hook URI."""
    assert "hush" not in repr(load_settings({"admin_token": "hush"}, {}))
    assert "hush" not in repr(load_settings({"hook_uri": ["http://user:hush@127.0.0.1/?token=hush"]}, {}))
    assert "hush" not in repr(Settings(webhooks_endpoint="http://user:hush@127.0.0.1/"))
    with pytest.raises(SettingsError) as error:
        load_settings({"hook_uri": ["http://user:hush@:99999/"]}, {})
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("10.0.0.1", Address("10.0.0.1", 5080), "10.0.0.1"),
        ("origin.example:8081", Address("origin.example", 8081), "origin.example:8081"),
        ("[::1]:5081", Address("::1", 5081), "[::1]:5081"),
    ],
)
def test_origin(text: str, address: Address, shown: str) -> None:
    """An origin is a host with or without a port, 5080 being the default, and is shown as it would be written."""
    settings = load_settings({"origin": [text]}, {})
    assert settings.origin == (address,)
    assert str(address) == shown


def test_repeatable_options_from_environment() -> None:
    """A repeatable option takes several values from its variable, separated by white space."""
    settings = load_settings({}, {"SMPROXY_HOOK_URI": "http://a.example/ http://b.example/"})
    assert settings.hook_uri == ("http://a.example/", "http://b.example/")


def test_formats_and_secrets_by_sink() -> None:
    """A format or a secret that is given once holds for all sinks; given for each, it belongs to its own; else refused."""
    uris = ["http://a.example/", "http://b.example/"]
    once = load_settings({"hook_uri": uris, "hook_format": ["red5"], "hook_secret": ["x"]}, {}).sinks
    assert [(sink.format, sink.secret) for sink in once] == [("red5", "x")] * 2
    each = load_settings({"hook_uri": uris, "hook_format": ["envelope", "cloudevents"]}, {}).sinks
    assert [(sink.format, sink.secret) for sink in each] == [("envelope", None), ("cloudevents", None)]
    with pytest.raises(SettingsError, match="--hook-secret is given 3 times for 2"):
        load_settings({"hook_uri": uris, "hook_secret": ["hush", "hush", "hush"]}, {})
    assert "hush" not in repr(load_settings({"hook_uri": uris, "hook_secret": ["hush"]}, {}))


def test_each_option_names_a_setting() -> None:
    """Every row of the option table has a setting of its own and a help of one line."""
    assert len({option.setting for option in OPTIONS}) == len(OPTIONS)
    for option in OPTIONS:
        assert hasattr(Settings(), option.setting)
        assert "\n" not in option.help
    assert callable(add_arguments)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a=1\nb = 2\nc:3\nd 4\n", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("# x=1\n! y=2\n\n   z=3", {"z": "3"}),
        ("long=one,\\\n     two,\\\n  three", {"long": "one,two,three"}),
        ("path=c\\:\\\\dir\\tx", {"path": "c:\\dir\tx"}),
        ("key\\ with\\=sign=v=w", {"key with=sign": "v=w"}),
        ("u=\\u00e9", {"u": "é"}),
        ("a=1\na=2", {"a": "2"}),
        ("empty=\nbare", {"empty": "", "bare": ""}),
        ("ends=\\", {"ends": ""}),
    ],
)
def test_properties_format(text: str, entries: dict[str, str]) -> None:
    """Separators, comments, continuation lines, escapes and repeated keys are read as Java reads them."""
    assert {key: entry.value for key, entry in parse_properties(text).items()} == entries


@given(st.text(max_size=200))
def test_any_properties_text(text: str) -> None:
    """Any text can be read as a properties file, with line numbers that exist in it."""
    lines = max(1, len(text.splitlines()))
    assert all(1 <= entry.line <= lines for entry in parse_properties(text).values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1"])
def test_encodings_of_the_file(tmp_path: Path, encoding: str) -> None:
    """A file in any encoding that editors write is read, or refused with the reason: no token goes missing silently (S4)."""
    config = tmp_path / "red5-web.properties"
    config.write_bytes("rest.administratorToken=pässword\nproxy.enabled=true\n".encode(encoding))
    if encoding in ("utf-16-le", "utf-16-be"):  # without a mark
        with pytest.raises(
            SettingsError, match=r"red5-web\.properties: it has zero bytes, as UTF-16 without a mark has"
        ):
            load_settings({"config": str(config)}, {})
    else:
        settings = load_settings({"config": str(config)}, {})
        assert settings.admin_token == "pässword"
        assert settings.proxy_enabled


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbfa=\xff", b"\xff\xfea", b"\xff\xfe\0\0a\0\0\0"])
def test_a_file_that_is_no_text(tmp_path: Path, raw: bytes) -> None:
    """A file that is not what its mark says is refused by name (S4)."""
    (tmp_path / "odd.properties").write_bytes(raw)
    with pytest.raises(SettingsError, match=r"odd\.properties: it "):
        load_settings({"config": str(tmp_path / "odd.properties")}, {})


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x0b", "\x1c", "\xa0"])
def test_where_lines_end(character: str) -> None:
    """Lines end at CR and LF only, and white space is what Java takes for it, as in the real server (S4)."""
    entries = parse_properties(f"# a comment{character}proxy.enabled=false\rkey = a{character}b{character}\r\nnext=1")
    assert {key: entry.value for key, entry in entries.items()} == {"key": f"a{character}b{character}", "next": "1"}
    assert entries["next"].line == 3


@pytest.mark.parametrize("text", ["port: 5081\n", "port = 5081\n", '{"port": 5081}'])
def test_a_file_of_another_kind(tmp_path: Path, text: str) -> None:
    """Options in a file that is not named as TOML are refused, not ignored; the real server's file may have any name."""
    config = tmp_path / "smproxy.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=r"smproxy\.yaml: .* must be TOML, with a name that ends in \.toml"):
        load_settings({"config": str(config)}, {})
    config.write_text("proxy.enabled=true\nother=1\n")
    assert load_settings({"config": str(config)}, {}).proxy_enabled
    config.write_text("")
    assert not load_settings({"config": str(config)}, {}).proxy_enabled


def test_unknown_variables() -> None:
    """A variable that looks like a setting and is none is told, with the nearest name (S5)."""
    environ = {
        "SMPROXY_HOOK_URL": "x",
        "SMPROXY_PORT": "1",
        "SMPROXY_QQQ": "",
        "SMPROXY": "x",
        "SMPROXY_REPLAY_PASSWORD": "x",
    }
    near, far = unknown_variables(environ)
    assert near == "the environment variable SMPROXY_HOOK_URL means nothing: did you mean SMPROXY_HOOK_URI?"
    assert far.startswith("the environment variable SMPROXY_QQQ means nothing")


def test_a_path_with_a_control_character() -> None:
    """An error is one line whatever the name of a file has in it."""
    with pytest.raises(SettingsError, match=r"^--sdk-file a\\nb: there is no such file"):
        load_settings({"sdk_file": "a\nb"}, {})
