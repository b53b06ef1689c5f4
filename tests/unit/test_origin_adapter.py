"""The check of aiortc's private names, and what follows when it fails."""

from __future__ import annotations

import random
from typing import Any

import pytest
from smproxy.origin import aiortc_adapter as adapter
from smproxy.origin import unfit_library
from smproxy.origin.aiortc_dtls import DtlsTransport
from smproxy.origin.origin import Origin, OriginSettings
from smproxy.origin.unfit_library import UnfitLibraryError
from smproxy.signaling.clock import Clock


async def test_the_installed_aiortc_is_as_expected() -> None:
    """With the pinned version the self-test has nothing to say."""
    assert adapter.self_test() is None


def test_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version outside the range, or a library that is missing, is a reason not to start, seen without an import."""
    unfit_library.check_installed()
    monkeypatch.setattr(unfit_library, "version", lambda _name: "1.17.0")
    with pytest.raises(UnfitLibraryError, match=r"aiortc 1\.17\.0 is not 1\.16"):
        unfit_library.check_installed()
    monkeypatch.setitem(unfit_library._MODULES, "no_such_module", "py-no-such-module")
    with pytest.raises(UnfitLibraryError, match="py-no-such-module is not installed"):
        unfit_library.check_installed()


async def test_a_changed_private_name_keeps_the_origin_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a private name is gone the origin does not start, and the error names it."""

    class Renamed(DtlsTransport):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            del self._rx_srtp

    monkeypatch.setattr(adapter, "DtlsTransport", Renamed)
    with pytest.raises(UnfitLibraryError, match="RTCDtlsTransport has no _rx_srtp"):
        await Origin.start(OriginSettings(), lambda _: None, clock=Clock(), rng=random.Random(1))
