"""The settings of ``smproxy serve``, and what is made of them for each component."""

from smproxy.settings.loading import DETACHED, given_settings, load_settings, settings_of, unknown_variables
from smproxy.settings.settings import Settings, SettingsError, default_of

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
