from __future__ import annotations

import itertools

import pytest
from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from service.observe import Exchange, Processed, Work

SECOND = 1_000_000_000


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    ticks = itertools.count()
    return Metrics(registry, "1.2.3", clock=lambda: 100 * SECOND, timer=lambda: float(next(ticks)))


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_requests_are_counted_by_what_is_bounded(metrics: Metrics, registry: CollectorRegistry) -> None:
    for number, (method, route, status) in enumerate([("GET", "/v1/alerts", 200), ("POST", "/v1/windows", 429)]):
        exchange = Exchange(method)
        with metrics.request(exchange):
            exchange.route, exchange.status = route, status
        assert value(registry, "yocho_http_request_seconds_sum", route=route, method=method) == 1.0, number
    with metrics.request(Exchange("BREW")):
        pass
    assert value(registry, "yocho_http_requests_total", route="/v1/alerts", method="GET", status="200") == 1
    assert value(registry, "yocho_http_requests_total", route="none", method="other", status="0") == 1
    assert value(registry, "yocho_refusals_total", reason="busy") == 1
    assert value(registry, "yocho_refusals_total", reason="invalid") is None


def test_windows_are_counted_by_their_length(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.processed(Processed(0, 60 * SECOND, attempts=7, shed_attempts=2, shed_sources=1))
    metrics.processed(Processed(0, 7 * SECOND, attempts=1, shed_attempts=0, shed_sources=0))
    for name, wanted in (
        ("yocho_windows_processed_total", 1),
        ("yocho_attempts_total", 7),
        ("yocho_shed_attempts_total", 2),
        ("yocho_shed_sources_total", 1),
        ("yocho_lag_seconds_sum", 40),
    ):
        assert value(registry, name, length="60") == wanted
    assert value(registry, "yocho_windows_processed_total", length="other") == 1


def test_a_window_that_ends_later_than_now_has_no_negative_lag(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    metrics.processed(Processed(60 * SECOND, 120 * SECOND, 0, 0, 0))
    assert value(registry, "yocho_lag_seconds_sum", length="60") == 0


def test_work_that_fails_is_timed_as_well(metrics: Metrics, registry: CollectorRegistry) -> None:
    for attempt in (metrics.work(Work("upload")), metrics.stage("patterns"), metrics.transaction("write")):
        with pytest.raises(LookupError), attempt:
            raise LookupError
    assert value(registry, "yocho_job_seconds_count", kind="upload", outcome="failed") == 1
    assert value(registry, "yocho_stage_seconds_sum", stage="patterns") == 1
    assert value(registry, "yocho_transaction_seconds_sum", kind="write") == 1


def test_the_rest_is_counted(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.taken("window")
    metrics.factorized(0.3, 0.25)
    metrics.opened("block")
    metrics.dropped(5)
    metrics.delivered("syslog", success=True)
    metrics.delivered("syslog", success=False)
    assert value(registry, "yocho_work_taken_total", kind="window") == 1
    assert value(registry, "yocho_factorization_seconds_sum") == 0.3
    assert value(registry, "yocho_factorization_error_bucket", le="0.25") == 1
    assert value(registry, "yocho_factorization_error_bucket", le="0.2") == 0
    assert value(registry, "yocho_alerts_opened_total", kind="block") == 1
    assert value(registry, "yocho_dropped_packets_total") == 5
    assert value(registry, "yocho_deliveries_total", output="syslog", result="delivered") == 1
    assert value(registry, "yocho_deliveries_total", output="syslog", result="failed") == 1
    assert value(registry, "yocho_build_info", version="1.2.3") == 1


def test_two_registries_share_nothing(metrics: Metrics, registry: CollectorRegistry) -> None:
    other = CollectorRegistry()
    Metrics(other, "1").dropped(9)
    assert value(registry, "yocho_dropped_packets_total") == 0
