"""The check of aiortc's private names, and what follows when it fails."""

from __future__ import annotations

import logging
import random

import pytest
from aiortc import RTCDtlsTransport
from smproxy.origin import aiortc_adapter as adapter
from smproxy.origin.origin import Origin, OriginSettings
from smproxy.signaling.clock import Clock


async def test_the_installed_aiortc_is_as_expected() -> None:
    """With the pinned version the self-test has nothing to say."""
    assert adapter.self_test() is None


async def test_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version outside the range is a reason to decode."""
    monkeypatch.setattr(adapter, "version", lambda _name: "1.17.0")
    assert adapter.self_test() == "aiortc 1.17.0 is not 1.16"


async def test_a_changed_private_name_means_decoding_and_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a private name is gone the origin starts all the same, decodes, and says so once."""

    class Renamed(RTCDtlsTransport):  # type: ignore[misc]
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            del self._rx_srtp

    monkeypatch.setattr(adapter, "RTCDtlsTransport", Renamed)
    with caplog.at_level(logging.WARNING, "smproxy.origin"):
        origin = await Origin.start(OriginSettings(), lambda _: None, clock=Clock(), rng=random.Random(1))
        await origin.stop()
    assert not origin.passthrough
    assert [record.getMessage() for record in caplog.records] == [
        "media is decoded, which costs about ten times the CPU: RTCDtlsTransport has no _rx_srtp"
    ]
