"""Commands to the process of the headless clients, and its reports: one JSON object a line."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

HeadlessRole: TypeAlias = Literal["publisher", "subscriber"]
#: How a client is ended: as a page that ends its stream, as a tab that is closed, as a machine that is lost.
HowToEnd: TypeAlias = Literal["leave", "close", "vanish"]
HeadlessState: TypeAlias = Literal["connecting", "live", "ended", "failed"]


class StartClient(msgspec.Struct, tag="start"):
    """Start a client; ``options`` are those of ``smproxy.testing.Publisher`` or ``Subscriber``."""

    client: str
    role: HeadlessRole
    url: str
    stream: str
    params: dict[str, str]
    options: dict[str, Any]


class EndClient(msgspec.Struct, tag="end"):
    """End a client."""

    client: str
    how: HowToEnd


class MuteClient(msgspec.Struct, tag="mute"):
    """Mute tracks or go on with them; ``None`` changes nothing."""

    client: str
    audio: bool | None
    video: bool | None


ClientCommand: TypeAlias = StartClient | EndClient | MuteClient


class ClientReport(msgspec.Struct):
    """How a client is: its ``figures`` are fields of its view."""

    client: str
    state: HeadlessState
    error: str | None
    ended_by: str | None
    figures: dict[str, Any]
