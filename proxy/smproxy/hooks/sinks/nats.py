"""The NATS sink: one acknowledged JetStream publish per event."""

from __future__ import annotations

import asyncio
import re
import ssl
from urllib.parse import quote

from yarl import URL

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import whole
from smproxy.hooks.formats.format import Format
from smproxy.hooks.formats.registry import ENVELOPE
from smproxy.hooks.sink import DELIVERED, SKIPPED, Dead, Outcome, Retry
from smproxy.hooks.sinks.jetstream import (
    JetStream,
    JetStreamError,
    JetStreamServer,
    MessageRefusedError,
    NoStreamError,
    missing_names,
)
from smproxy.hooks.sinks.webhook import DEFAULT_TIMEOUT, sink_name

DEFAULT_PORT = 4222
DEFAULT_PREFIX = "hooks"

#: The token of events without a customer scope; a scope of that name is escaped.
NO_CUSTOMER_SCOPE = "_"

_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}", re.ASCII)

# A protocol line holds 4,096 bytes. Parameters are short enough; what was refused for its length may not be.
_TOKEN_LIMIT = 3_072


def subject_of(prefix: str, event: EncodedEvent) -> str:
    """Return the subject of an event: ``<prefix>.<customer scope>.<event>``."""
    return f"{prefix}.{customer_scope_token(event.customer_scope)}.{event.event}"


def customer_scope_token(customer_scope: str | None) -> str:
    """Write a customer scope as one token of a subject.

    All but ASCII letters, digits, ``-`` and ``_`` becomes ``%XX``.
    """
    if not customer_scope:
        return NO_CUSTOMER_SCOPE
    if customer_scope == NO_CUSTOMER_SCOPE:
        return f"%{ord(NO_CUSTOMER_SCOPE):02X}"
    escaped = quote(whole(customer_scope), safe="")
    return escaped.replace(".", "%2E").replace("~", "%7E")[:_TOKEN_LIMIT]


def stream_of(prefix: str) -> str:
    """Name the stream that is made for ``prefix``; names of streams have no dots."""
    return prefix.replace(".", "_")


class NatsSink:
    """Publishes each event to JetStream.

    The server drops what it has already, by ``Nats-Msg-Id``.

    ``url``: ``nats://[user:password@|token@]host[:port][/prefix]``, or ``tls://…``, which insists on TLS. ``verify_tls=False``
    takes any certificate. ``timeout``: seconds per attempt. Raises ``ValueError`` for a URL that means something
    else, and for a nats-py that does not fit.
    """

    def __init__(
        self, url: URL, *, timeout: float = DEFAULT_TIMEOUT, format: Format = ENVELOPE, verify_tls: bool = True
    ) -> None:
        if missing := missing_names():
            raise ValueError(f"the installed nats-py has no {', '.join(missing)}: install another version")
        self._name = sink_name(url, format)
        self._server = _server(url, verify_tls)
        self._prefix = _prefix(url)
        self._timeout = timeout
        self._format = format
        self._connection: JetStream | None = None
        self._provided = False
        self._opening: asyncio.Task[JetStream | JetStreamError] | None = None

    def __repr__(self) -> str:
        return f"<NatsSink {self._name}>"

    @property
    def name(self) -> str:
        """The URL without credentials, and the format."""
        return self._name

    @property
    def takes_internal(self) -> bool:
        """Whether its format has internal events."""
        return self._format.internal

    async def start(self) -> None:
        """Nothing yet: the first event connects."""

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Publish the event once, if its format has it.

        Only the server's word that it is stored counts.
        """
        body = self._format.project(event)
        if body is None:
            return SKIPPED
        headers = {"Nats-Msg-Id": self._message_id(event), "Content-Type": self._format.content_type}
        if (traceparent := event.traceparent) is not None:
            headers["traceparent"] = traceparent
        connection = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connected()
                await connection.publish(subject_of(self._prefix, event), body, headers)
        except TimeoutError:
            complaint = connection.complaint if connection is not None else None
            why = f"no acknowledgement within {self._timeout:g} s"
            return Retry(None, f"{why}: {complaint}" if complaint else why)
        except MessageRefusedError as error:
            return Dead(f"NATS: {error}")
        except NoStreamError as error:
            self._provided = False
            return Retry(None, f"NATS: {error}")
        except JetStreamError as error:
            return Retry(None, f"NATS: {error}")
        return DELIVERED

    async def stop(self) -> None:
        """Disconnect."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
            self._opening = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _message_id(self, event: EncodedEvent) -> str:
        # Two sinks with different formats may share a stream.
        return event.uuid if self._format.name == ENVELOPE.name else f"{event.uuid}.{self._format.name}"

    async def _connected(self) -> JetStream:
        """Return the connection, once there is one and its stream exists.

        All who wait share one try.
        """
        if self._connection is not None and not self._connection.lost and self._provided:
            return self._connection
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        opened = await asyncio.shield(self._opening)
        if isinstance(opened, JetStreamError):
            raise JetStreamError(str(opened))  # one of its own for each who waited
        return opened

    async def _open(self) -> JetStream | JetStreamError:
        """Connect if need be and see to the stream.

        Returns the error, for there may be nobody left to raise it to.
        """
        try:
            connection = self._connection
            if connection is None or connection.lost:
                self._provided = False
                if connection is not None:
                    self._connection = None
                    await connection.close()
                connection = self._connection = await JetStream.open(self._server, self._timeout)
            await connection.provide(stream_of(self._prefix), f"{self._prefix}.>", self._timeout)
        except JetStreamError as error:
            return error
        else:
            self._provided = True
            return connection
        finally:
            self._opening = None


def _server(url: URL, verify_tls: bool) -> JetStreamServer:
    if url.query_string or url.fragment:
        raise ValueError("it takes no query and no fragment")
    tls = None
    if not verify_tls:
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    # As NATS has it, a user without a password is a token.
    token = url.user if url.password is None else None
    return JetStreamServer(
        host=url.host or "",
        port=url.port or DEFAULT_PORT,
        user=None if token else url.user,
        password=url.password,
        token=token,
        encrypted=url.scheme == "tls",
        tls=tls,
    )


def _prefix(url: URL) -> str:
    prefix = url.path.strip("/") or DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "the prefix after the host may have letters, digits, - and _, in up to four parts with dots between"
        )
    return prefix
