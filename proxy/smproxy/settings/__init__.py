"""The settings of ``smproxy serve``, and what is made of them for each component."""

from smproxy.settings.settings import (
    DETACHED,
    Settings,
    SettingsError,
    default_of,
    given_settings,
    load_settings,
    settings_of,
    unknown_variables,
)

__all__ = [
    "DETACHED",
    "Settings",
    "SettingsError",
    "default_of",
    "given_settings",
    "load_settings",
    "settings_of",
    "unknown_variables",
]
