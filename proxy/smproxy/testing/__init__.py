"""For other people's tests.

A headless publisher and subscriber, and a receiver of lifecycle hooks.

::

    from smproxy.testing import Publisher, WebhookReceiver

    async with WebhookReceiver() as receiver:            # give receiver.url to the simulator
        async with Publisher("ws://127.0.0.1:5080/streammanager", stream="room-1", params={...}):
            await receiver.wait_for(lambda hook: hook.state == "connected")

The names below are the public interface. The larger ones are imported on first use: aiortc and aiohttp take a good part of
a second to import, which neither a test of hooks alone nor ``smproxy --help`` need pay.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smproxy.testing.errors import (
    PublishError,
    PublishRejected,
    PublishTimeout,
    Rejected,
    StreamError,
    SubscribeError,
    SubscribeRejected,
    SubscribeTimeout,
)

if TYPE_CHECKING:
    from smproxy.testing.blocking import SyncHooks, SyncPublisher, SyncSubscriber, SyncWebhookReceiver
    from smproxy.testing.frame_marker import FrameCode, frame_code, frame_number, stream_mark
    from smproxy.testing.hook_app import HookApp, HookAppError
    from smproxy.testing.hook_log import Hook
    from smproxy.testing.hooks import HookExpectationError, Hooks
    from smproxy.testing.picture_check import PictureReport
    from smproxy.testing.publisher import Publisher
    from smproxy.testing.subscriber import Subscriber
    from smproxy.testing.webhook_receiver import Answer, ReceivedHook, WebhookReceiver

__all__ = [
    "Answer",
    "FrameCode",
    "Hook",
    "HookApp",
    "HookAppError",
    "HookExpectationError",
    "Hooks",
    "PictureReport",
    "PublishError",
    "PublishRejected",
    "PublishTimeout",
    "Publisher",
    "ReceivedHook",
    "Rejected",
    "StreamError",
    "SubscribeError",
    "SubscribeRejected",
    "SubscribeTimeout",
    "Subscriber",
    "SyncHooks",
    "SyncPublisher",
    "SyncSubscriber",
    "SyncWebhookReceiver",
    "WebhookReceiver",
    "frame_code",
    "frame_number",
    "stream_mark",
]

_MODULES = {
    "Answer": "webhook_receiver",
    "FrameCode": "frame_marker",
    "Hook": "hook_log",
    "HookApp": "hook_app",
    "HookAppError": "hook_app",
    "HookExpectationError": "hooks",
    "Hooks": "hooks",
    "Publisher": "publisher",
    "PictureReport": "picture_check",
    "ReceivedHook": "webhook_receiver",
    "Subscriber": "subscriber",
    "SyncHooks": "blocking",
    "SyncPublisher": "blocking",
    "SyncSubscriber": "blocking",
    "SyncWebhookReceiver": "blocking",
    "WebhookReceiver": "webhook_receiver",
    "frame_code": "frame_marker",
    "frame_number": "frame_marker",
    "stream_mark": "frame_marker",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"smproxy.testing.{_MODULES[name]}"), name)
