"""The webhook sink: one HTTP POST per event."""

from __future__ import annotations

import base64
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from yarl import URL

from smproxy import __version__
from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.format import Format
from smproxy.hooks.formats.registry import ENVELOPE
from smproxy.hooks.sink import DELIVERED, SKIPPED, Dead, Disabled, Outcome, Retry
from smproxy.hooks.sinks.http import HttpPoster
from smproxy.hooks.sinks.signature import Signer
from smproxy.network_errors import reason_of
from smproxy.signaling.clock import Clock

#: Seconds that one attempt may take, from connecting to the end of the answer.
DEFAULT_TIMEOUT = 5.0

_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def sink_name(url: URL, format: Format) -> str:
    """Name a sink: its URL as it may be shown, and its format unless that is our own."""
    return display_name(url) + ("" if format.name == ENVELOPE.name else f" ({format.name})")


def display_name(url: URL) -> str:
    """Return ``url`` as it may be shown: without user, password, and the values of its query."""
    shown = url.with_user(None).with_fragment(None).with_query(None)
    text = str(shown)
    if url.user is not None or url.password is not None:
        text = text.replace("://", "://***@", 1)
    return text + "?***" if url.query_string else text


def retry_after(value: str | None, now: float) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3) as seconds from ``now``, which is Unix time.

    ``None`` when there is none or it means nothing.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def classify(status: int, after: float | None) -> Outcome:
    """Return what an HTTP status means for the event that was posted."""
    if 200 <= status < 300:
        return DELIVERED
    if status == HTTPStatus.GONE:
        return Disabled("HTTP 410 Gone")
    if status in _RETRIED or status >= 500:
        return Retry(after, f"HTTP {status}")
    if 300 <= status < 400:
        return Dead(f"HTTP {status}: redirects are not followed")
    return Dead(f"HTTP {status}")


class WebhookSink:
    """Posts each event to a URL.

    User and password in the URL are sent as basic authentication and never shown.

    ``timeout``: seconds per attempt. ``signer`` signs each attempt. ``verify_tls=False`` takes any certificate.
    With ``any_status`` each answer counts as a delivery, as with servers that do not look at it.
    """

    def __init__(
        self,
        url: URL,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        clock: Clock | None = None,
        format: Format = ENVELOPE,
        signer: Signer | None = None,
        verify_tls: bool = True,
        any_status: bool = False,
    ) -> None:
        self._name = sink_name(url, format)
        self._url = url.with_user(None).with_fragment(None)
        self._timeout = timeout
        self._clock = clock or Clock()
        self._format = format
        self._signer = signer
        self._verify_tls = verify_tls
        self._any_status = any_status
        self._poster: HttpPoster | None = None
        self._headers = {
            "Content-Type": format.content_type,
            "User-Agent": f"stream-manager-proxy/{__version__}",
        }
        if url.user is not None or url.password is not None:
            pair = f"{url.user or ''}:{url.password or ''}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")

    def __repr__(self) -> str:
        return f"<WebhookSink {self._name}>"

    @property
    def name(self) -> str:
        """The URL without credentials, and the format."""
        return self._name

    @property
    def takes_internal(self) -> bool:
        """Whether its format has internal events."""
        return self._format.internal

    async def start(self) -> None:
        """Get ready; nothing is sent yet."""
        context = None
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            if not self._verify_tls:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        self._poster = HttpPoster(self._url, self._headers, timeout=self._timeout, context=context)

    async def deliver(self, event: EncodedEvent) -> Outcome:
        """Post the event once, if its format has it. Only an answer that came in whole counts."""
        assert self._poster is not None, "deliver before start"
        body = self._format.project(event)
        if body is None:
            return SKIPPED
        now = self._clock.wall()
        headers = {"webhook-id": event.uuid, "webhook-timestamp": str(int(now))}
        if (traceparent := event.traceparent) is not None:
            headers["traceparent"] = traceparent
        if self._signer is not None:
            headers |= self._signer.headers(event.uuid, int(now), body)
        try:
            answer = await self._poster.post(body, headers)
        except TimeoutError:
            return Retry(None, f"no answer within {self._timeout:g} s")
        except (OSError, UnicodeError) as error:
            return Retry(None, reason_of(error))
        if self._any_status:
            return DELIVERED
        return classify(answer.status, retry_after(answer.retry_after, self._clock.wall()))

    async def stop(self) -> None:
        """Close every connection."""
        poster, self._poster = self._poster, None
        if poster is not None:
            poster.close()
