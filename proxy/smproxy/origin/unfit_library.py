"""Check the libraries of the media path without importing them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

#: The version of aiortc, up to its second number, whose private names the origin knows.
AIORTC = "1.16"

_MODULES = {"aiortc": "aiortc", "av": "av", "pylibsrtp": "pylibsrtp", "OpenSSL": "pyopenssl", "ifaddr": "ifaddr"}


class UnfitLibraryError(RuntimeError):
    """A library is missing or not as the media path needs it; the message says which and why."""


def check_installed() -> None:
    """Check that the libraries are installed, and which version aiortc has.

    It takes a few milliseconds. Whether aiortc is as it is needed is seen only when it has been imported:
    :func:`smproxy.origin.aiortc_adapter.self_test`.

    Raises:
        UnfitLibraryError: one is missing, or aiortc has another version.
    """
    for module, distribution in _MODULES.items():
        if find_spec(module) is None:
            raise UnfitLibraryError(f"{distribution} is not installed")
    try:
        installed = version("aiortc")
    except PackageNotFoundError:
        raise UnfitLibraryError("the version of aiortc is not known, it was not installed with pip") from None
    if installed.split(".")[:2] != AIORTC.split("."):
        raise UnfitLibraryError(f"aiortc {installed} is not {AIORTC}")
