"""The running simulator and its clients, as the integration tests have them."""

from __future__ import annotations

from tests.integration.conftest import publisher, receiver, start_simulator

__all__ = ["publisher", "receiver", "start_simulator"]
