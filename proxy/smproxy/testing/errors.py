"""What can go wrong for a publisher or a subscriber; the tree that callers catch."""

from __future__ import annotations


class StreamError(Exception):
    """A stream could not be published or watched, or not be ended properly."""


class Rejected(StreamError):
    """The server refused, with a code.

    ``code`` is the signaling code (``NetConnection.Connect.Rejected``, ``NetConnection.Connect.Failed``,
    ``Publish.InvalidName``, ``Subscribe.InvalidName``, ``NetStream.…``), or ``HTTP <status>`` when the WebSocket upgrade itself
    was refused. ``message`` is what the server said beside it, if anything: the error's text or the reason of the close that
    followed.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class PublishError(StreamError):
    """The stream could not be published, or not be ended properly."""


class PublishRejected(PublishError, Rejected):
    """The server refused the stream; see ``code`` and ``message``."""


class PublishTimeout(PublishError, TimeoutError):
    """The server did not send the next message in time."""


class SubscribeError(StreamError):
    """The stream could not be watched, or ended while something was waited for."""


class SubscribeRejected(SubscribeError, Rejected):
    """The server refused the subscriber; see ``code`` and ``message``."""


class SubscribeTimeout(SubscribeError, TimeoutError):
    """The server did not send the next message in time, or what was waited for did not come."""


class CannotRun(RuntimeError):
    """Something outside keeps a stream manager from running in a test: one line with what to do."""

    @staticmethod
    def explains(error: Exception) -> bool:
        """Return whether the error is that of pytest-socket, which forbids sockets."""
        return type(error).__module__.partition(".")[0] == "pytest_socket"

    @classmethod
    def because(cls, error: Exception) -> CannotRun:
        """Explain the error that stopped it."""
        advice = "this process cannot open sockets"
        if cls.explains(error):
            advice = (
                "it needs sockets of this machine: run pytest with --allow-hosts=127.0.0.1,::1,localhost too, or give the test "
                "the marker enable_socket"
            )
        return cls(f"the stream manager cannot run ({str(error).rstrip('.')}): {advice}")
