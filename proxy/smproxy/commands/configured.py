"""``smproxy --config FILE``: where the commands find the instance that is configured there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from smproxy.commands.arguments import NotGiven
from smproxy.commands.output import USAGE, CommandError


def apply_config(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Fill what was not given from the file of ``--config``.

    Raises:
        CommandError: the file cannot be used.
    """
    if arguments.config_file is None:
        return
    if hasattr(arguments, "config"):  # serve, which reads it itself
        arguments.config = arguments.config or arguments.config_file
        return
    from smproxy.addresses import url_host
    from smproxy.settings import SettingsError, load_settings

    try:
        settings = load_settings({"config": arguments.config_file}, environ)
    except SettingsError as error:
        raise CommandError(str(error), USAGE) from None
    url = getattr(arguments, "url", None)
    if isinstance(url, NotGiven):
        place = f"{url_host(settings.host)}:{settings.ports[0]}"
        arguments.url = NotGiven(urlunsplit(urlsplit(str(url))._replace(netloc=place)))
    found: dict[str, object] = {"data_dir": settings.data_dir, "pid_file": settings.pid_file}
    if hasattr(arguments, "asks_instance"):  # elsewhere --token is another one
        found["token"] = settings.admin_token
    for name, value in found.items():
        if getattr(arguments, name, value) is None:
            setattr(arguments, name, value)
