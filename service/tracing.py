"""Traces of requests, jobs and the stages of windows through OpenTelemetry, which the extra `tracing` installs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span

from service.observe import Silent, current_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span, Tracer

    from service.observe import Exchange, Work


class Traces(Silent):
    """An observer that makes spans; those inside of others become their children."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, exchange: Exchange, /) -> Iterator[None]:
        """See `Observer`."""
        parent = extract(dict(exchange.trace))
        attributes = {"http.request.method": exchange.method} | _ids()
        with self._tracer.start_as_current_span(
            exchange.method, parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            try:
                yield
            finally:
                _answered(span, exchange)

    @contextmanager
    def work(self, work: Work, /) -> Iterator[None]:
        """See `Observer`."""
        with self._tracer.start_as_current_span(f"job {work.kind}", attributes=_ids()) as span:
            try:
                yield
            finally:
                span.set_attribute("yocho.outcome", work.outcome)

    @contextmanager
    def stage(self, name: str, /) -> Iterator[None]:
        """See `Observer`."""
        with self._tracer.start_as_current_span(name, attributes=_ids()):
            yield

    @contextmanager
    def transaction(self, kind: str, /) -> Iterator[None]:
        """See `Observer`; those of nothing else are left out: many a second look whether there is work."""
        if not get_current_span().get_span_context().is_valid:
            yield
            return
        with self._tracer.start_as_current_span(f"transaction {kind}"):
            yield


def provider_to(endpoint: str, version: str) -> TracerProvider:
    """Return a provider that sends spans to a collector, such as ``http://127.0.0.1:4318``, in the background."""
    provider = TracerProvider(resource=Resource.create({"service.name": "yocho", "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces")))
    return provider


def _answered(span: Span, exchange: Exchange) -> None:
    span.set_attribute("http.response.status_code", exchange.status)
    if exchange.route:
        span.update_name(f"{exchange.method} {exchange.route}")
        span.set_attribute("http.route", exchange.route)
    if exchange.status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _ids() -> dict[str, str]:
    return {f"yocho.{name}": value for name, value in current_ids().items()}
