"""Settings from flags, the environment, files and keywords."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smproxy.properties import Property, decode_properties, parse_properties
from smproxy.settings.options import OPTIONS, Option
from smproxy.settings.settings import Settings, SettingsError
from smproxy.settings.toml_file import SUFFIX, TomlError, read_toml

#: The variable that a process of ``--detach`` has.
DETACHED = "SMPROXY_DETACHED"

#: Variables that other commands, and the tests, take.
OTHER_VARIABLES = ("SMPROXY_REPLAY_PASSWORD", "SMPROXY_TEST_TIME_SCALE", DETACHED)

#: Settings that may hold a secret, which no error quotes.
_UNQUOTED = frozenset({"hook_uri", "hook_secret", "webhooks_endpoint", "auth", "auth_uri", "cluster"})


def settings_of(**values: Any) -> Settings:
    """Make the settings of a simulator inside a program.

    By default a free port, and nothing on disk.

    Texts and numbers are read as on the command line: ``hook_uri="http://127.0.0.1:8000/hooks"``, ``origin=["10.0.0.1:5080"]``.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used.
    """
    known = {option.setting: option for option in OPTIONS}
    settings: dict[str, Any] = {"port": 0, "tls_port": 0, "data_dir": Path(":memory:")}
    for name, value in values.items():
        option = known.get(name)
        if option is None:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"there is no setting {name!r}: {hint}")
        if option.repeatable:
            each = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
            settings[name] = tuple(_parse_text(option, item) for item in each)
        else:
            settings[name] = _parse_text(option, value)
    return Settings(**settings)


def _parse_text(option: Option, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        return option.parse(str(value))
    except ValueError as error:
        raise SettingsError(f"{option.setting}: {error}") from None


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Merge flags, the environment, ``smproxy.toml``, the properties file and defaults.

    Raises:
        SettingsError: a value cannot be used, or a file cannot be read.
    """
    values, config, properties = _merged(OPTIONS, flags, environ)
    values["config"] = config
    if config is not None and "proxy.enabled" not in properties:
        values["proxy_enabled"] = False  # as the real server: off unless the file says otherwise
    return Settings(**values)


def given_settings(names: Collection[str], flags: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return those of a few settings that are given, whatever is wrong with others.

    Raises:
        SettingsError: one of the values cannot be used, or a file cannot be read.
    """
    return _merged([option for option in OPTIONS if option.setting in names], flags, environ)[0]


def _merged(
    options: Sequence[Option], flags: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], Path | None, dict[str, Property]]:
    """Return the values that are given of some options, the properties file, and what is in it."""
    values: dict[str, Any] = {}
    config_text = flags.get("config") or environ.get("SMPROXY_CONFIG") or None
    config = None if config_text is None else Path(config_text)
    own, file = {}, None
    if config is not None and config.suffix == SUFFIX:
        own, file = _read_own(config, options), config
        config = Path(own["config"][-1]) if "config" in own else None
    properties = {} if config is None else _read_config(config)
    for option in options:
        flag, variable = flags.get(option.setting), option.variable
        entry = properties.get(option.key) if option.key else None
        if option.flag and flag is not None and flag != []:
            values[option.setting] = _parse(option, flag, option.flag)
        elif variable and environ.get(variable):
            text = environ[variable]
            values[option.setting] = _parse(option, text.split() if option.repeatable else text, variable)
        elif option.setting in own:
            values[option.setting] = _parse(
                option, own[option.setting], f"{file}: {(option.flag or '').removeprefix('--')}"
            )
        elif entry is not None and config is not None and (entry.value or option.flag is None):
            value = [entry.value] if option.repeatable else entry.value
            values[option.setting] = _parse(option, value, f"{config}:{entry.line}: {option.key}")
    return values, config, properties


def _parse(option: Option, value: Any, source: str) -> Any:
    if value is True:  # a switch on the command line
        return option.parse("true")
    texts = value if isinstance(value, list) else [value]
    try:
        parsed = [option.parse(text) for text in texts]
    except ValueError as error:
        # The error of a hook URI shows it without its credentials.
        shown = "" if option.setting in _UNQUOTED else f"{' '.join(texts)!r}: "
        raise SettingsError(f"{source}: {shown}{error}") from None
    return tuple(parsed) if option.repeatable else parsed[0]


def _read_own(path: Path, options: Sequence[Option]) -> dict[str, list[str]]:
    try:
        return read_toml(path, options)
    except TomlError as error:
        raise SettingsError(str(error)) from None


def _read_config(path: Path) -> dict[str, Property]:
    try:
        properties = parse_properties(decode_properties(path.read_bytes()))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}: give --config a readable file") from None
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None
    if properties and path.suffix != ".properties" and not any(option.key in properties for option in OPTIONS):
        raise SettingsError(
            f"{path}: it has no property that is used, such as proxy.enabled: "
            f"a file with options of `smproxy serve` must be TOML, with a name that ends in {SUFFIX}"
        )
    return properties


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that looks like a setting and is none."""
    known = [option.variable for option in OPTIONS if option.variable] + list(OTHER_VARIABLES)
    warnings = []
    for name in sorted(environ):
        if name.startswith("SMPROXY_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "smproxy serve --help lists the options"
            warnings.append(f"the environment variable {name} means nothing: {hint}")
    return warnings
