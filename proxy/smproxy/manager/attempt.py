"""One attempt: a client's connection through the proxy, and what its messages show."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import msgspec
from msgspec import UNSET

from smproxy.log_fields import About, about
from smproxy.manager.origin_registry import Node
from smproxy.manager.relay.connection import RelayedConnection
from smproxy.manager.relay.observer import RelayEnd
from smproxy.manager.tracing import ClientTrace, TraceStep
from smproxy.signaling import messages
from smproxy.signaling.messages import ClientVerb, ServerNotice
from smproxy.signaling.node_channel import Announce, AttemptFailed, PeerEnded, Report, StreamStarted, TransportUp
from smproxy.signaling.params import ConnectionParams
from smproxy.signaling.payloads import ConnectError, Connection, Reason, Role, RouteError, Transport

logger = logging.getLogger(__name__)

_STARTING = re.compile(r"(.*) starting", re.IGNORECASE | re.DOTALL)
_STOPPING = re.compile(r"(.*) stopping", re.IGNORECASE | re.DOTALL)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """The client of a connection, as the administration shows it."""

    remote_ip: str
    user_agent: str = ""
    secure: bool = False
    transport: Transport = "websocket"
    since_ms: int = 0


def about_refused(session: int | None, connection: Connection) -> About:
    """Return the fields of the log for a client that was refused."""
    return about(session, connection.id, connection.customer_scope)


class Attempt:
    """Observe one relay and report its session's steps, as an origin does on its node channel.

    What the origin itself reports is believed; what is said on the relay counts where the origin has no node channel, and for
    what only the relay can see: which role the client takes, and that its socket is gone without ``switchChannel``. The origin
    knows the attempt by ``token``. ``dial_over`` is called with what came of reaching the origin, ``None``: it has answered;
    ``over`` once, when the relay is gone.
    """

    __slots__ = (
        "_asked_to_publish",
        "_on_dial_over",
        "_on_over",
        "_report",
        "_role_known",
        "client",
        "dialing",
        "node",
        "params",
        "relay",
        "relay_ended",
        "role",
        "session",
        "switched",
        "token",
        "trace",
        "up",
    )  # fmt: skip

    def __init__(
        self,
        token: str,
        session: int,
        params: ConnectionParams,
        node: Node,
        client: Client,
        *,
        report: Callable[[Node, Report], None],
        dial_over: Callable[[Attempt, RouteError | None], None],
        over: Callable[[Attempt], None],
    ) -> None:
        self.token = token
        self.session = session
        self.params = params
        self.node = node
        self.client = client
        self.role = params.role
        self.relay: RelayedConnection | None = None
        self.relay_ended = False
        self.switched = False
        self.up = False
        #: The trace of its client, and the dial in it while there is no answer.
        self.trace: ClientTrace | None = None
        self.dialing: TraceStep | None = None
        self._report = report
        self._on_dial_over = dial_over
        self._on_over = over
        self._asked_to_publish = self._role_known = False

    @property
    def announcement(self) -> Announce:
        """What lets its client in at the origin."""
        return Announce(
            self.token, self.params.customer_scope or "", self.session, self.params.id, self.trace is not None
        )

    @property
    def about(self) -> About:
        """The session, for the log."""
        stream = self.params.id if self.role is Role.PUBLISHER else None
        return about(self.session, self.params.id, self.params.customer_scope, stream)

    @property
    def relayed(self) -> bool:
        """Whether it has a relay that has not ended."""
        return self.relay is not None and not self.relay_ended

    def close_relay(self, code: int, reason: str) -> None:
        """Close both sockets, if there is a relay that has not ended."""
        if self.relay is not None and not self.relay_ended:
            self.relay.close(code, reason)

    def dialed(self) -> None:
        """Both legs are up."""
        self._dial_over()

    def _dial_over(self, why: str | None = None, error: RouteError | None = None) -> None:
        self._on_dial_over(self, error)
        step, self.dialing = self.dialing, None
        if step is not None:
            step.end(why)

    def dial_failed(self, why: str, error: RouteError = RouteError.GATEWAY_ERROR) -> None:
        """End the attempt: the origin could not be reached, and the relay has refused the client."""
        logger.warning(
            "session %d: origin %s: %s: check that it runs and that its address is right",
            self.session,
            self.node.address,
            why,
            extra=self.about,
        )
        self._dial_over(why, error)
        self._fail(ConnectError.ORIGIN_UNREACHABLE)
        self._over()

    def client_message(self, message: ClientVerb | None) -> None:
        """Read along with the client."""
        if message is None:
            return  # the relay counts what cannot be read
        if message.switch_channel is not UNSET:
            self.switched = True
        elif message.handle_offer is not UNSET:
            self._take_role(Role.PUBLISHER)
        elif message.publish is not UNSET or message.unpublish is not UNSET:
            pass  # neither is anything without an offer
        elif message.request_offer is not UNSET or message.subscribe is not UNSET:
            self._take_role(Role.SUBSCRIBER)
        elif message.is_available is not UNSET:
            self._asked_to_publish = message.bundle is not UNSET

    def _take_role(self, role: Role) -> None:
        """Take the role of the first message that has one, as the origin does."""
        if not self._role_known:
            self._role_known = True
            self.role = role

    def origin_message(self, message: ServerNotice | None) -> None:
        """Make reports of the messages of an origin without a node channel."""
        if message is None or self.node.command is not None:
            return
        if message.is_available is True and self._asked_to_publish:
            self._fail(ConnectError.NAME_IN_USE)
        if message.data is UNSET:
            return
        data = message.data
        text = data.message if data.message is not UNSET else ""
        if data.code == messages.CONNECT_REJECTED:
            self._fail(ConnectError.REJECTED)
        elif data.type == "error":
            self._fail(ConnectError.ORIGIN_ERROR)
        elif not text:
            return  # nearly every message
        elif started := _STARTING.match(text):
            self._report(self.node, StreamStarted(self.token, started[1], self.params.scope))
            self._report(self.node, TransportUp(self.token))
        elif _STOPPING.match(text):
            self._end(Reason.USER_ACTION)

    def ended(self, end: RelayEnd) -> None:
        """The relay is over: decide what that means for the session."""
        if self.switched:
            # The session lives on its data channel, whoever ended the relay and how.
            if not self.node.reports:
                logger.warning(
                    "session %d: the client left the socket and origin %s has no node channel: its hooks end here",
                    self.session,
                    self.node.address,
                    extra=self.about,
                )
                self._end(Reason.USER_ACTION)
        elif end.by == "client":
            self._end(Reason.USER_ACTION, lost=not end.clean)
        elif end.by == "origin":
            self._end(Reason.ORIGIN_LOST)
        else:
            logger.info("session %d: relay ended: %s", self.session, end.detail, extra=self.about)
            if end.detail.startswith("origin"):
                self._end(Reason.ORIGIN_LOST)
            else:
                self._end(Reason.TIMEOUT if end.code == _KEEP_ALIVE_CODE else Reason.USER_ACTION)
        self._over()

    def exchange_over(self) -> None:
        """Note that the client spoke over HTTP, so that there is no relay to wait for."""
        self._over()

    def _over(self) -> None:
        self.relay_ended = True
        self._on_over(self)

    def _fail(self, error: ConnectError) -> None:
        self._report(self.node, AttemptFailed(self.token, error))

    def _end(self, reason: Reason, *, lost: bool = False) -> None:
        self._report(self.node, PeerEnded(self.token, reason, lost))


#: Close code of a relay whose leg stayed silent (RFC 6455, 7.4.1: 1011).
_KEEP_ALIVE_CODE = 1011
