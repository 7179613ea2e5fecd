"""What is counted, for Prometheus."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from service.connections import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry

    from service.observe import Exchange, Processed, Work

_REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_WORK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)
_LAG_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 86400)
_ERRORS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_SECOND = 1_000_000_000

_LENGTHS = (60, 600, 3600, 86400)
_BY_LENGTH = "by length in seconds: 60, 600, 3600, 86400, other; longer ones tell of the same attempts again"

_REASONS = {
    400: "unreadable",
    401: "no_token",
    403: "forbidden",
    408: "too_slow",
    409: "conflict",
    411: "no_length",
    413: "too_large",
    415: "unknown_type",
    422: "invalid",
    429: "busy",
    431: "too_large",
    503: "unavailable",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """An observer that counts into a registry; `clock` gives ns since the epoch, `timer` seconds."""

    def __init__(
        self,
        registry: CollectorRegistry,
        version: str,
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock, self._timer = clock, timer
        Gauge("yocho_build_info", "1, with the version", ["version"], registry=registry).labels(version).set(1)
        self._count_work(registry)
        self._count_findings(registry)
        self._count_requests(registry)

    def _count_work(self, registry: CollectorRegistry) -> None:
        self._taken = Counter(
            "yocho_work_taken", "Work that was accepted, by kind: window, look, upload", ["kind"], registry=registry
        )
        self._jobs = Histogram(
            "yocho_job_seconds",
            "Time that work took, by kind and outcome",
            ["kind", "outcome"],
            registry=registry,
            buckets=_WORK_SECONDS,
        )
        self._windows = Counter(
            "yocho_windows_processed", f"Windows that were analysed, {_BY_LENGTH}", ["length"], registry=registry
        )
        self._lag = Histogram(
            "yocho_lag_seconds",
            f"Time between the end of a window and the end of its analysis, {_BY_LENGTH}",
            ["length"],
            registry=registry,
            buckets=_LAG_SECONDS,
        )
        self._stages = Histogram(
            "yocho_stage_seconds",
            "Time of the stages of an analysis, by stage",
            ["stage"],
            registry=registry,
            buckets=_WORK_SECONDS,
        )
        self._transactions = Histogram(
            "yocho_transaction_seconds",
            "Time of transactions of the database, by kind: read, write",
            ["kind"],
            registry=registry,
            buckets=_WORK_SECONDS,
        )

    def _count_findings(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "yocho_attempts",
            f"Attempts in the windows that were analysed, {_BY_LENGTH}",
            ["length"],
            registry=registry,
        )
        self._shed_attempts = Counter(
            "yocho_shed_attempts",
            f"Attempts that windows had no room for, {_BY_LENGTH}",
            ["length"],
            registry=registry,
        )
        self._shed_sources = Counter(
            "yocho_shed_sources",
            f"Sources that windows had no room for, {_BY_LENGTH}",
            ["length"],
            registry=registry,
        )
        self._dropped = Counter(
            "yocho_dropped_packets", "Packets that the system dropped before they could be read", registry=registry
        )
        self._factorizations = Histogram(
            "yocho_factorization_seconds", "Time of factorisations", registry=registry, buckets=_WORK_SECONDS
        )
        self._errors = Histogram(
            "yocho_factorization_error",
            "Relative error of factorisations: length of what is unexplained by that of the counts",
            registry=registry,
            buckets=_ERRORS,
        )
        self._alerts = Counter(
            "yocho_alerts_opened", "Alerts that were opened, by kind", ["kind"], registry=registry
        )
        self._deliveries = Counter(
            "yocho_deliveries",
            "Events told by outputs, by output and result: delivered, failed",
            ["output", "result"],
            registry=registry,
        )

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "yocho_http_requests",
            "Requests, by route, method and status",
            ["route", "method", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "yocho_http_request_seconds",
            "Time until requests were answered, by route and method",
            ["route", "method"],
            registry=registry,
            buckets=_REQUEST_SECONDS,
        )
        self._refusals = Counter(
            "yocho_refusals",
            "Requests that were refused, by reason: " + ", ".join(dict.fromkeys(_REASONS.values())),
            ["reason"],
            registry=registry,
        )
        self._held = Gauge(
            "yocho_body_bytes", "Bytes of bodies in memory, as they came or were unpacked", registry=registry
        )
        self._connections = Gauge("yocho_connections", "Connections of clients that are open", registry=registry)
        self._cuts = Counter(
            "yocho_connections_cut",
            "Connections of clients that were ended, by reason: " + ", ".join(Cut),
            ["reason"],
            registry=registry,
        )

    @contextmanager
    def request(self, exchange: Exchange, /) -> Iterator[None]:
        """See `Observer`."""
        began = self._timer()
        try:
            yield
        finally:
            self._answered(exchange, self._timer() - began)

    def _answered(self, exchange: Exchange, seconds: float) -> None:
        # What anybody can invent must not become a label: memory would grow with it.
        route, method = exchange.route or "none", exchange.method if exchange.method in _METHODS else "other"
        self._request_seconds.labels(route, method).observe(seconds)
        self._requests.labels(route, method, str(exchange.status)).inc()
        if exchange.status in _REASONS:
            self._refusals.labels(_REASONS[exchange.status]).inc()

    @contextmanager
    def work(self, work: Work, /) -> Iterator[None]:
        """See `Observer`."""
        began = self._timer()
        try:
            yield
        finally:
            self._jobs.labels(work.kind, work.outcome).observe(self._timer() - began)

    @contextmanager
    def stage(self, name: str, /) -> Iterator[None]:
        """See `Observer`."""
        with self._timed(self._stages.labels(name)):
            yield

    @contextmanager
    def transaction(self, kind: str, /) -> Iterator[None]:
        """See `Observer`."""
        with self._timed(self._transactions.labels(kind)):
            yield

    def taken(self, kind: str, /) -> None:
        """See `Observer`."""
        self._taken.labels(kind).inc()

    def processed(self, window: Processed, /) -> None:
        """See `Observer`."""
        seconds = (window.end - window.start) / _SECOND
        length = str(int(seconds)) if seconds in _LENGTHS else "other"
        self._windows.labels(length).inc()
        self._attempts.labels(length).inc(window.attempts)
        self._shed_attempts.labels(length).inc(window.shed_attempts)
        self._shed_sources.labels(length).inc(window.shed_sources)
        self._lag.labels(length).observe(max(0, self._clock() - window.end) / _SECOND)

    def factorized(self, seconds: float, error: float, /) -> None:
        """See `Observer`."""
        self._factorizations.observe(seconds)
        self._errors.observe(error)

    def opened(self, kind: str, /) -> None:
        """See `Observer`."""
        self._alerts.labels(kind).inc()

    def dropped(self, packets: int, /) -> None:
        """See `Observer`."""
        self._dropped.inc(packets)

    def delivered(self, output: str, /, *, success: bool) -> None:
        """See `Observer`."""
        self._deliveries.labels(output, "delivered" if success else "failed").inc()

    def connected(self, number: int, /) -> None:
        """See `Observer`."""
        self._connections.set(number)

    def cut(self, why: str, /) -> None:
        """See `Observer`."""
        self._cuts.labels(why).inc()

    def holding(self, size: int, /) -> None:
        """See `Observer`."""
        self._held.set(size)

    @contextmanager
    def _timed(self, histogram: Histogram) -> Iterator[None]:
        began = self._timer()
        try:
            yield
        finally:
            histogram.observe(self._timer() - began)
