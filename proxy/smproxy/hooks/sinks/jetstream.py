"""One connection to a NATS server, for acknowledged publishes to JetStream.

It never reconnects by itself: a client that does would keep messages of its own and send them at a time nobody knows. Whoever
uses it opens another when this one is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.protocol.parser import Parser

logger = logging.getLogger(__name__)

#: Seconds for which the server knows a message id again: as long as a restart may reasonably take.
DUPLICATE_WINDOW = 600.0

#: Seconds for which a stream that this project makes keeps messages.
MAX_AGE = 7 * 86_400.0

# A server that answers no ping within two intervals is lost. Seconds.
_PING_INTERVAL = 10

_CLOSE_TIMEOUT = 1.0

#: Bytes of one message, or line, of a server that are held. What it answers us with is much smaller.
MAX_RECEIVED = 1024 * 1024

# What the library raises for what is not NATS, beside its own errors.
_NONSENSE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)

#: Error codes of the JetStream API: a message is larger than the stream takes.
_MESSAGE_TOO_LARGE = 10054


class JetStreamError(Exception):
    """Something did not work; the text is one line without credentials."""


class MessageRefusedError(JetStreamError):
    """The message will never be taken."""


class NoStreamError(JetStreamError):
    """No stream takes the subject."""


@dataclass(frozen=True, slots=True)
class JetStreamServer:
    """Where a server is and what it asks for.

    ``encrypted``: nothing is said to a server that does not ask for TLS. ``tls``: what decides about its certificate, for any
    server that does; the system's authorities if it is ``None``.
    """

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    encrypted: bool = False
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.encrypted else 'nats'}://{host}:{self.port}"


class _Fault(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Fault | None = None


_answers = msgspec.json.Decoder(_Answer)


def missing_names() -> list[str]:
    """Return the private names of nats-py that are used here and are not there."""
    client = Client()
    wanted = {client: ("_server_info", "_ps"), Parser(client): ("buf", "needed", "parse", "reset")}
    return [
        f"{type(owner).__name__}.{name}"
        for owner, names in wanted.items()
        for name in names
        if not hasattr(owner, name)
    ]


class _BoundedParser(Parser):
    """The library's parser, which by itself holds whatever a server announces."""

    async def parse(self, data: bytes = b"") -> None:
        try:
            await super().parse(data)
        except _NONSENSE:
            raise nats.errors.ProtocolError from None
        if max(self.needed, len(self.buf)) > MAX_RECEIVED:
            self.reset()
            raise nats.errors.ProtocolError


class JetStream:
    """An open connection; made by :meth:`open`, ended by :meth:`close` or by the server."""

    def __init__(self) -> None:
        self._client = Client()
        self._client._ps = _BoundedParser(self._client)
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._count = 0
        self._pending: dict[str, asyncio.Future[None]] = {}
        #: What the server complained of since it last stored something.
        self.complaint: str | None = None
        self._ended = False
        self._encrypted = False

    @classmethod
    async def open(cls, server: JetStreamServer, timeout: float) -> JetStream:
        """Connect within ``timeout`` seconds. Raises :class:`JetStreamError`."""
        made = cls()
        try:
            async with asyncio.timeout(timeout):
                await made._connect(server, timeout)
        except BaseException as error:
            refusal = made._refusal(error)  # before closing, which may fail with an error of its own
            await made.close()
            if isinstance(error, TimeoutError):  # which that of nats-py is, too
                raise JetStreamError(f"no connection within {timeout:g} s") from None
            if isinstance(error, nats.errors.Error | OSError):
                raise JetStreamError(refusal) from None
            if isinstance(error, _NONSENSE):
                raise JetStreamError("what answers is no NATS server") from None
            raise
        return made

    @property
    def lost(self) -> bool:
        """Whether nothing can be published any more."""
        return self._ended or self._client.is_closed

    async def _connect(self, server: JetStreamServer, timeout: float) -> None:
        self._encrypted = server.encrypted
        await self._client.connect(
            servers=[server.url],
            name="stream-manager-proxy",
            user=self._guarded(server.user),
            password=self._guarded(server.password),
            token=self._guarded(server.token),
            tls=server.tls,
            allow_reconnect=False,
            # The library tries once more than told, and waits in between; 0 would be for ever.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=max(1, round(timeout)),
            ping_interval=_PING_INTERVAL,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
        )
        if not self._client.is_connected:  # the library takes the end of the stream for a yes
            raise ConnectionResetError("the server closed the connection")
        self._check_encryption()
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    def _guarded(self, value: str | None) -> Callable[[], str] | None:
        """Hand a credential to the library only when it is about to be sent, after TLS."""
        if value is None:
            return None

        def reveal() -> str:
            self._check_encryption()
            return value

        return reveal

    def _check_encryption(self) -> None:
        """Refuse a server that does not ask for TLS: the library would go on in the clear."""
        if self._encrypted and not self._server_says("tls_required"):
            raise nats.errors.Error("the server does not ask for TLS")

    def _server_says(self, name: str) -> bool:
        """Look into the INFO of the server, which may have sent anything."""
        info: object = self._client._server_info
        return isinstance(info, dict) and bool(info.get(name))

    def _refusal(self, error: BaseException) -> str:
        """Return why there is no connection.

        A server that refuses credentials may hang up before its reason is read.
        """
        text = self.complaint or describe(error)
        asked = self._server_says("auth_required")
        if "authorization violation" in text.lower() or (asked and isinstance(error, ConnectionError)):
            return "the server refused the user, password or token"
        return text

    async def provide(self, stream: str, subject: str, timeout: float) -> None:
        """Make ``stream`` for ``subject`` unless some stream takes it already.

        Raises :class:`JetStreamError`.
        """
        manager = JetStreamContext(self._client, timeout=timeout)
        try:
            try:
                name = await manager.find_stream_name_by_subject(subject)
                logger.debug("NATS stream %s takes %s", name, subject)
            except nats.js.errors.NotFoundError:
                await manager.add_stream(
                    StreamConfig(
                        name=stream,
                        description="Lifecycle hooks of stream-manager-proxy",
                        subjects=[subject],
                        storage=StorageType.FILE,
                        max_age=MAX_AGE,
                        duplicate_window=DUPLICATE_WINDOW,
                    )
                )
                logger.info("NATS stream %s was made for %s", stream, subject)
        except (nats.js.errors.ServiceUnavailableError, nats.errors.NoRespondersError):
            raise JetStreamError("JetStream is not available on this server") from None
        except nats.js.errors.APIError as error:
            raise JetStreamError(f"stream {stream} cannot be made: {error.description}") from None
        except TimeoutError:
            raise JetStreamError(self.complaint or f"JetStream did not answer within {timeout:g} s") from None
        except (nats.errors.Error, OSError) as error:
            raise JetStreamError(self.complaint or describe(error)) from None

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """Publish one message and return when the server has stored it, or had it already.

        Raises :class:`JetStreamError`. Waits as long as it takes: the time-out is the caller's.
        """
        if self.lost:
            raise JetStreamError("the connection was lost")
        self._count += 1
        token = str(self._count)
        answer = self._pending[token] = self._loop.create_future()
        try:
            await self._client.publish(subject, body, reply=f"{self._inbox}.{token}", headers=headers)
            await answer
        except nats.errors.MaxPayloadError:
            raise MessageRefusedError(f"{len(body)} bytes are more than the server takes") from None
        except (nats.errors.Error, OSError) as error:
            raise JetStreamError(describe(error)) from None
        finally:
            self._pending.pop(token, None)

    async def close(self) -> None:
        """Disconnect; what still waits for an answer gets an error."""
        self._end()
        with contextlib.suppress(TimeoutError, nats.errors.Error, OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._client.close()

    async def _on_answer(self, message: Msg) -> None:
        answer = self._pending.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        error = _error_in(message)
        if error is None:
            self.complaint = None
            answer.set_result(None)
        else:
            answer.set_exception(error)

    async def _on_error(self, error: Exception) -> None:
        self.complaint = describe(error)

    async def _on_closed(self) -> None:
        self._end()

    def _end(self) -> None:
        self._ended = True
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(JetStreamError("the connection was lost"))


def _error_in(message: Msg) -> JetStreamError | None:
    """Read the server's answer to a publish."""
    if message.headers and message.headers.get("Status") == "503":
        return NoStreamError("no JetStream stream takes this subject")
    try:
        fault = _answers.decode(message.data).error
    except msgspec.DecodeError:
        return JetStreamError("the answer to a publish is not JetStream's")
    if fault is None:
        return None
    text = f"JetStream error {fault.code}: {fault.description}"
    return MessageRefusedError(text) if fault.err_code == _MESSAGE_TOO_LARGE else JetStreamError(text)


def describe(error: BaseException) -> str:
    """Put an error into one line."""
    text = " ".join(str(error).removeprefix("nats: ").split()) or type(error).__name__
    return text[:300]
