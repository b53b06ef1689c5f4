"""What can go wrong for a publisher; the tree that callers catch."""

from __future__ import annotations


class PublishError(Exception):
    """The stream could not be published, or not be ended properly."""


class PublishRejected(PublishError):
    """The server refused the stream in so many words.

    ``code`` is the signaling code (``NetConnection.Connect.Rejected``, ``NetConnection.Connect.Failed``,
    ``Publish.InvalidName``, ``NetStream.…``), or ``HTTP <status>`` when the WebSocket upgrade itself was refused.
    ``message`` is what the server said beside it, if anything: the error's text or the reason of the close that followed.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class PublishTimeout(PublishError, TimeoutError):
    """The server did not say the next thing in time."""
