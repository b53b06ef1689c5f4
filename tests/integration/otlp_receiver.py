"""An OTLP receiver: an HTTP server that decodes the spans that are posted to it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from smproxy.testing.local_server import LocalServer


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A span as it came. Times in nanoseconds."""

    name: str
    trace: str
    span: str
    parent: str
    start: int
    end: int
    failed: str | None
    attributes: dict[str, str] = field(default_factory=dict)


class OtlpReceiver(LocalServer):
    """Takes traces over HTTP and protobuf, as an async context manager; answers with ``status``."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0)
        self.status = 200
        self.spans: list[SpanRecord] = []
        self.services: set[str] = set()

    @property
    def url(self) -> str:
        """The base URL, for ``--otel-endpoint``."""
        return self._base

    def of(self, trace: str) -> list[SpanRecord]:
        """Return the spans of a trace, the earliest first."""
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.start)

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/v1/traces", self._traces)])
        return app

    async def _traces(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.status == 200:
            self._take(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=self.status, content_type="application/x-protobuf")

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        SpanRecord(
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            span.status.message if span.status.code == 2 else None,
                            {each.key: each.value.string_value for each in span.attributes},
                        )
                    )
