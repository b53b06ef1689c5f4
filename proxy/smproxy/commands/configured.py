"""Where commands find the instance that the environment and a configuration file tell of."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from smproxy.commands.arguments import NotGiven
from smproxy.commands.output import USAGE, CommandError


def apply_config(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Fill what was not given from the variables of ``serve`` and from its file.

    Only what the command needs is looked at: whatever else is wrong is for ``serve`` to say.

    Raises:
        CommandError: a value that is needed, or the file, cannot be used.
    """
    if hasattr(arguments, "config"):  # serve, which reads both itself
        arguments.config = arguments.config or arguments.config_file
        return
    wanted = {name: name for name in ("data_dir", "pid_file") if getattr(arguments, name, "") is None}
    if hasattr(arguments, "asks_instance") and arguments.token is None:  # elsewhere --token is another one
        wanted["token"] = "admin_token"  # noqa: S105 - a name
    url = getattr(arguments, "url", None)
    places = {"host", "port"} if isinstance(url, NotGiven) else set()
    if not wanted and not places and arguments.config_file is None:
        return
    from smproxy.addresses import url_host
    from smproxy.settings import SettingsError, given_settings

    try:
        given = given_settings({*wanted.values(), *places}, {"config": arguments.config_file}, environ)
    except SettingsError as error:
        raise CommandError(str(error), USAGE) from None
    for name, setting in wanted.items():
        setattr(arguments, name, given.get(setting))
    if "host" in given or "port" in given:
        parts = urlsplit(str(url))
        host = url_host(given["host"]) if "host" in given else parts.hostname
        port = given["port"][0] if "port" in given else parts.port
        arguments.url = NotGiven(urlunsplit(parts._replace(netloc=f"{host}:{port}")))
