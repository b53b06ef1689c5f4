"""CloudEvents 1.0 in structured JSON, for brokers and functions that route by it.

Sources: the CloudEvents specification 1.0.2, its JSON format, and the extensions ``sequence``, ``partitionkey`` and
``traceparent`` (distributed tracing) that are documented with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from smproxy.hooks.event import EncodedEvent
from smproxy.hooks.formats.body import read, whole, write

#: Before the event's own two words in ``type``: ``dev.stream-manager.session.connected``.
TYPE_PREFIX = "dev.stream-manager"

# Digits of `sequence`, which is compared as text.
_SEQUENCE_DIGITS = 10

# What a CloudEvents String must not hold besides surrogates: control and noncharacters (section "Type System").
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Node(msgspec.Struct):
    node: int


_decoder = msgspec.json.Decoder(_Node)


class _CloudEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The attributes in the order in which they are sent.

    The names of extensions are lower case without a separator.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    partitionkey: str
    sequence: str
    customerscope: str | None = None
    traceparent: str | None = None
    data: msgspec.Raw


class CloudEvents:
    """CloudEvents whose ``data`` is this project's own message, unchanged."""

    name = "cloudevents"
    content_type = "application/cloudevents+json"
    internal = False

    def project(self, event: EncodedEvent) -> bytes | None:
        """Return the event; ``None`` for the events that are not part of this project's schema."""
        if event.internal:
            return None
        customer_scope = event.customer_scope
        return write(
            _CloudEvent(
                specversion="1.0",
                id=event.uuid,
                source=f"/stream-manager-proxy/nodes/{read(_decoder, event.body).node}",
                type=f"{TYPE_PREFIX}.{event.event}.{event.state}",
                subject=f"sessions/{event.session}",
                time=rfc3339(event.ts),
                datacontenttype="application/json",
                partitionkey=str(event.session),
                sequence=f"{event.seq:0{_SEQUENCE_DIGITS}d}",
                customerscope=_FORBIDDEN.sub("\ufffd", whole(customer_scope)) if customer_scope else None,
                traceparent=event.traceparent,
                data=msgspec.Raw(event.body),
            )
        )


def rfc3339(ts_ms: int) -> str:
    """Write Unix time in milliseconds as RFC 3339 in UTC."""
    return (_EPOCH + timedelta(milliseconds=ts_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
