"""Traces for OpenTelemetry, sent with OTLP over HTTP. Imported only when asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Sequence

from opentelemetry.context import Context as OtelContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as OpenTelemetryTracer
from yarl import URL

from smproxy import __version__
from smproxy.hooks.event import Context, HookEvent
from smproxy.hooks.status import DeliveryUpdate
from smproxy.hooks.throttled_log import ThrottledLog
from smproxy.manager.tracing import TraceStep
from smproxy.signaling.clock import Clock
from smproxy.signaling.node_channel import TransportTimes
from smproxy.signaling.payloads import Connection, SessionPayload
from smproxy.trace_context import event_span, event_traceparent, read_traceparent, write_traceparent

logger = logging.getLogger(__name__)

#: Seconds that spans have to be sent when the server stops.
FLUSH = 2.0


class OtelTracer:
    """Makes traces and sends them in the background. Ended by ``stop``.

    Spans wait in a queue of the library that is bounded: what finds no room is lost.
    ``endpoint`` is the base URL of an OTLP receiver; without one, ``OTEL_EXPORTER_OTLP_ENDPOINT`` and the other standard
    variables say where to.
    """

    def __init__(self, endpoint: str | None, *, clock: Clock) -> None:
        self._clock = clock
        self._ids = _SpanIds()
        self._exporter = OTLPSpanExporter(endpoint=None if endpoint is None else _traces_url(endpoint))
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "stream-manager-proxy"}
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_VERSION: __version__, **named}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(_Reporting(self._exporter, clock)))
        self._tracer = self._provider.get_tracer("smproxy", __version__)

    def begin(self, transport: str, remote_ip: str, traceparent: str | None) -> OtelClientTrace:
        """Begin the trace of a client, in the one that its own context names."""
        parent = None if traceparent is None else _context_of(traceparent)
        attributes = {"smproxy.transport": transport, "client.address": remote_ip}
        root = self._tracer.start_span(
            "connect", parent, SpanKind.SERVER, attributes, start_time=_nanoseconds(self._clock.wall())
        )
        return OtelClientTrace(self._tracer, root, self._clock)

    def hook_published(self, event: HookEvent, context: Context) -> None:
        """Make the span of a hook event, which receivers get as the parent of theirs."""
        if context.traceparent is None:
            return
        payload, at = event.payload, event.ts * 1_000_000
        state = payload.state if isinstance(payload, SessionPayload) else payload.event
        attributes = {"smproxy.event": event.event, "smproxy.session": str(payload.session), "smproxy.uuid": event.uuid}
        self._ids.following = event_span(event.uuid)
        span = self._tracer.start_span(
            f"hook {state}", _context_of(context.traceparent), SpanKind.PRODUCER, attributes, start_time=at
        )
        self._ids.following = None
        span.end(at)

    def delivery_update(self, update: DeliveryUpdate) -> None:
        """Make the span of an attempt to deliver a hook."""
        context, attempt = update.event.context.traceparent, update.attempt
        if context is None or attempt is None:
            return
        span = self._tracer.start_span(
            "deliver",
            _context_of(event_traceparent(context, update.event.uuid)),
            SpanKind.CLIENT,
            {"smproxy.sink": update.sink, "smproxy.result": attempt.outcome},
            start_time=attempt.at * 1_000_000,
        )
        if attempt.detail:
            span.set_status(Status(StatusCode.ERROR, attempt.detail))
        span.end((attempt.at + attempt.took_ms) * 1_000_000)

    async def stop(self) -> None:
        """Send what is left, for a short while. Does not raise."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut() -> None:
            with contextlib.suppress(Exception):
                self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # Not a thread of the loop's executor, for which the interpreter would wait when it exits.
        threading.Thread(target=shut, name="otel-shutdown", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                await done.wait()
                return
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # it waits for another attempt no longer
        logger.warning("traces: what was left could not be sent within %g s", FLUSH)


class OtelClientTrace:
    """The trace of one client: a root span, and a span for each step below it."""

    def __init__(self, tracer: OpenTelemetryTracer, root: Span, clock: Clock) -> None:
        self._tracer = tracer
        self._root = root
        self._clock = clock
        self._context = set_span_in_context(root)
        self._open: list[_OtelStep] = []
        self._ended = False
        self._admission: TraceStep | None = self.step("admission")
        made = root.get_span_context()
        self._traceparent = write_traceparent(made.trace_id, made.span_id, made.trace_flags)

    @property
    def traceparent(self) -> str:
        """The context of the root span."""
        return self._traceparent

    def opened(self, session: int, connection: Connection, origin: str | None = None) -> None:
        """Name the root after what the client does, and end its admission."""
        self._root.update_name("publish" if connection.role == "publisher" else "subscribe")
        known = {
            "session": str(session),
            "id": connection.id,
            "customerScope": connection.customer_scope,
            "app": connection.app,
            "username": connection.username,
            "origin": origin,
        }
        self._root.set_attributes({f"smproxy.{name}": value for name, value in known.items() if value is not None})
        if self._admission is not None:
            self._admission.end()
            self._admission = None

    def step(self, name: str, **attributes: str) -> TraceStep:
        """Begin the span of a step."""
        span = self._tracer.start_span(name, self._context, attributes=attributes, start_time=self._now)
        step = _OtelStep(span, self)
        if not self._ended:
            self._open.append(step)
        return step

    def transport(self, times: TransportTimes, error: str | None = None) -> None:
        """Make the spans of the offer and answer, of ICE and of DTLS, as far as they were reached."""
        now = self._clock.wall()
        for name, began, ended in (
            ("offer/answer", times.offered, times.answered),
            ("ICE", times.described, times.nominated),
            ("DTLS", times.nominated, times.secured),
        ):
            if began is None:
                continue
            span = self._tracer.start_span(name, self._context, start_time=_nanoseconds(now - began))
            if ended is None:
                span.set_status(Status(StatusCode.ERROR, error or "it did not finish"))
            span.end(_nanoseconds(now - (ended or 0.0)))

    def end(self, error: str | None = None, **attributes: str) -> None:
        """End the root, and what has not ended; later steps are not part of the trace."""
        if self._ended:
            return
        self._ended = True
        for step in tuple(self._open):
            step.end(error or "the session ended before")
        self._root.set_attributes({f"smproxy.{name}": value for name, value in attributes.items()})
        if error is not None:
            self._root.set_status(Status(StatusCode.ERROR, error))
        self._root.end(self._now)

    def done(self, step: _OtelStep) -> None:
        """Forget a step that has ended."""
        with contextlib.suppress(ValueError):
            self._open.remove(step)

    @property
    def now(self) -> int:
        """The time, in nanoseconds."""
        return self._now

    @property
    def _now(self) -> int:
        return _nanoseconds(self._clock.wall())


class _OtelStep:
    """The span of a step that takes time."""

    __slots__ = ("_span", "_trace")

    def __init__(self, span: Span, trace: OtelClientTrace) -> None:
        self._span = span
        self._trace = trace

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end(self._trace.now)
        self._trace.done(self)


class _SpanIds(RandomIdGenerator):
    """Random ids, but for a span whose id is known already."""

    def __init__(self) -> None:
        self.following: int | None = None

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.following is None else self.following


class _Reporting(SpanExporter):
    """An exporter that says in the log, now and then, that it cannot send."""

    def __init__(self, exporter: OTLPSpanExporter, clock: Clock) -> None:
        self._exporter = exporter
        self._failures = ThrottledLog(logger, clock.monotonic, interval=60.0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; called on a thread of the library."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:
            self._failures.warning("traces: %d spans are lost: %s", len(spans), error)
            return SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._failures.warning(
                "traces: %d spans are lost: the receiver does not take them: check --otel-endpoint", len(spans)
            )
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


def _traces_url(endpoint: str) -> str:
    """Return where traces go: below a base URL, or the URL itself when it has a path."""
    url = URL(endpoint)
    return str(url.with_path("/v1/traces")) if url.path in ("", "/") else endpoint


def _context_of(traceparent: str) -> OtelContext | None:
    """Return a trace context of elsewhere as the library has it; ``None`` when it is none."""
    read = read_traceparent(traceparent)
    if read is None:
        return None
    trace, span, flags = read
    return set_span_in_context(
        NonRecordingSpan(SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags)))
    )


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
