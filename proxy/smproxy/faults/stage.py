"""The stages of a client's way to its stream, at which faults strike."""

from __future__ import annotations

from msgspec import UNSET

from smproxy.faults.parameter import Parameter
from smproxy.faults.signaling_fault import Message, Side
from smproxy.signaling import messages

#: In their order; those of the client are what it sends, the others what it gets.
STAGES = ("connect", "available", "offer", "answer", "trickle", "publish", "starting")

#: The end of candidates, and as some builds of the real server misspell it.
TRICKLE_CODES = frozenset({messages.TRICKLE_COMPLETED, "NetConnection.ICE.TricleCompleted"})

#: The stages, and the time after the last of them.
STAGES_AND_LIVE = (*STAGES, "live")


def stage_of(message: Message, sender: Side) -> str | None:
    """Return the stage that a message brings about; ``None`` for one that is none."""
    return _of_client(message) if sender == "client" else _of_origin(message)


def stage_parameter(default: str, choices: tuple[str, ...], help: str) -> Parameter[str]:
    """Make the parameter that names a stage."""
    return Parameter(default, help, choices=choices)


def _of_client(message: Message) -> str | None:
    said = message.client
    if said.is_available is not UNSET:
        return "available"
    if said.handle_offer is not UNSET or said.request_offer is not UNSET:
        return "offer"
    if said.publish is not UNSET or said.subscribe is not UNSET:
        return "publish"
    return None


def _of_origin(message: Message) -> str | None:
    said = message.server
    if message.code == messages.CONNECT_SUCCESS:
        return "connect"
    if said.data is not UNSET and said.data.sdp is not UNSET:
        return "answer"
    if message.code in TRICKLE_CODES:
        return "trickle"
    return "starting" if message.says_starting else None
