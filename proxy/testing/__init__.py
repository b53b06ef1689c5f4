"""For other people's tests: a headless publisher and a receiver of lifecycle hooks.

::

    from proxy.testing import Publisher, WebhookReceiver

    async with WebhookReceiver() as receiver:            # give receiver.url to the simulator
        async with Publisher("ws://127.0.0.1:5080/streammanager", stream="room-1", params={...}):
            await receiver.wait_for(lambda hook: hook.state == "connected")

The names below are the public interface. The larger ones are imported on first use: aiortc and aiohttp take a good part of
a second to import, which neither a test of hooks alone nor ``smproxy --help`` need pay.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from proxy.testing.errors import PublishError, PublishRejected, PublishTimeout

if TYPE_CHECKING:
    from proxy.testing.publisher import Publisher
    from proxy.testing.webhook_receiver import Answer, ReceivedHook, WebhookReceiver

__all__ = [
    "Answer",
    "PublishError",
    "PublishRejected",
    "PublishTimeout",
    "Publisher",
    "ReceivedHook",
    "WebhookReceiver",
]

_MODULES = {
    "Answer": "webhook_receiver",
    "Publisher": "publisher",
    "ReceivedHook": "webhook_receiver",
    "WebhookReceiver": "webhook_receiver",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"proxy.testing.{_MODULES[name]}"), name)
