"""Messages of the conference API, one JSON object per text frame. Sans-I/O.

Source: the sample pages of Red5 Pro servers, socket ``/conference-api/1.0/ws/conference``.
"""

from __future__ import annotations

import msgspec

from smproxy.signaling.params import is_scope

#: Characters of a text and of a join token, which may be a JSON Web Token, and bytes of a request.
MAX_TEXT = 256
MAX_TOKEN = 4096
MAX_REQUEST = 16_384


class JoinConferenceRequest(msgspec.Struct, frozen=True, rename="camel", tag_field="messageType", tag=True):
    """What a client sends first. ``join_token`` names the conference, and is a secret."""

    join_token: str
    display_name: str = ""
    #: The path of its stream, as ``live/room/name``.
    stream_guid: str = ""
    fingerprint: str = ""
    is_anonymous: bool = False
    username: str = ""
    password: str = ""
    access_token: str = ""

    def __repr__(self) -> str:
        return f"JoinConferenceRequest({self.display_name!r}, {self.stream_guid!r})"

    @property
    def stream(self) -> tuple[str, str]:
        """Scope and name of its stream; empty where it has none."""
        scope, _, name = self.stream_guid.strip("/").rpartition("/")
        return scope, name


class ParticipantState(msgspec.Struct, frozen=True, rename="camel"):
    """A participant as all of them are told."""

    participant_id: int
    display_name: str
    role: str
    stream_guid: str


class ConferenceState(msgspec.Struct, frozen=True, rename="camel"):
    """Who is in a conference, in the order of joining."""

    conference_id: int
    participants: list[ParticipantState]


class JoinConferenceResponse(msgspec.Struct, frozen=True, rename="camel", tag_field="messageType", tag=True):
    """The answer to a participant that was let in."""

    conference_id: int
    participant_id: int
    role: str


class ConferenceStateEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="messageType", tag=True):
    """Sent to all participants at each change."""

    state: ConferenceState


class ConferenceError(msgspec.Struct, frozen=True, rename="camel", tag_field="messageType", tag=True):
    """The answer to a client that was not let in; the socket is closed after it."""

    error: str


_decoder = msgspec.json.Decoder(JoinConferenceRequest)


def read_join(text: str) -> JoinConferenceRequest:
    """Read a request.

    Raises:
        ValueError: it cannot be used; the message is a sentence without its secrets.
    """
    try:
        asked = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"The first message must be a JoinConferenceRequest: {error}.") from None
    for key, value, least, most in (
        ("joinToken", asked.join_token, 1, MAX_TOKEN),
        ("displayName", asked.display_name, 0, MAX_TEXT),
        ("streamGuid", asked.stream_guid, 0, MAX_TEXT),
        ("fingerprint", asked.fingerprint, 0, MAX_TEXT),
        ("username", asked.username, 0, MAX_TEXT),
    ):
        if not least <= len(value) <= most or not value.isprintable():
            raise ValueError(f'"{key}" must be a text of {least} to {most} printable characters.')
    scope, name = asked.stream
    if asked.stream_guid and not (name and is_scope(scope)):
        raise ValueError('"streamGuid" must be the path of a stream, as "live/room/name".')
    return asked
