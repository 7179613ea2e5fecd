from __future__ import annotations

from service.alerts.alert import Alert, Kind
from service.alerts.sources import judge
from service.alerts.suppress import GAP, ongoing, raise_alert
from service.alerts.threshold import Thresholds
from service.windows.counts import WindowCounts
from service.windows.posted import PostedRow, posted_window
from tests.traffic import SECOND, START, Try, ports, sweep, window

MINUTE = 60 * SECOND
SCANNER = "10.0.0.66"


def follow(windows: list[WindowCounts]) -> list[Alert]:
    """Raise the alerts of consecutive windows."""
    alerts: dict[str, Alert] = {}
    for counts in windows:
        before = ongoing(counts, [a for a in alerts.values() if a.last_seen >= counts.start - GAP])
        for verdict in judge(counts, Thresholds(), set(before)):
            alert = raise_alert(counts, verdict, None, before.get((verdict.source, verdict.means)))
            alerts[alert.id] = alert
    return list(alerts.values())


def test_a_scan_over_three_windows_is_one_alert_with_exact_counts() -> None:
    (alert,) = follow(
        [
            window(ports(SCANNER, "10.0.0.1", 60), start=START),
            window(ports(SCANNER, "10.0.0.1", 60, first=50), start=START + MINUTE),
            window(ports(SCANNER, "10.0.0.1", 4, first=200), start=START + 2 * MINUTE),
        ]
    )
    assert alert.kind is Kind.VERTICAL
    assert (alert.evidence.services.count, alert.evidence.services.exact) == (113, True)
    assert (alert.evidence.targets.count, alert.evidence.targets.exact) == (1, True)
    assert alert.evidence.attempts == 124
    assert alert.evidence.windows == 3
    assert (alert.score, alert.threshold) == (60, 10)
    assert (alert.first_seen, alert.last_seen) == (START, START + 2 * MINUTE + 3_000_000)
    assert alert.targets_sample == ("10.0.0.1",)
    assert alert.technique == "T1046"


def test_a_sweep_that_goes_on_adds_targets() -> None:
    (alert,) = follow(
        [
            window(sweep(SCANNER, "tcp/23", 40), start=START),
            window(sweep(SCANNER, "tcp/23", 40, first=31), start=START + MINUTE),
        ]
    )
    assert alert.kind is Kind.HORIZONTAL
    assert alert.services == ("tcp/23",)
    assert alert.evidence.targets.count == 70
    assert alert.technique == "T1595.001"
    assert len(alert.targets_sample) == 10


def test_after_a_long_pause_it_is_another_scan() -> None:
    first, second = follow(
        [
            window(ports(SCANNER, "10.0.0.1", 20), start=START),
            window(ports(SCANNER, "10.0.0.2", 20), start=START + 12 * MINUTE),
        ]
    )
    assert first.id != second.id
    assert first.targets_sample != second.targets_sample


def test_a_vertical_scan_that_grows_wide_becomes_a_block() -> None:
    wide = [t for i in range(1, 25) for t in ports(SCANNER, f"10.0.1.{i}", 30)]
    (alert,) = follow([window(ports(SCANNER, "10.0.0.1", 30), start=START), window(wide, start=START + MINUTE)])
    assert alert.kind is Kind.BLOCK
    assert alert.technique == "T1595.001"
    assert alert.evidence.targets.count == 25


def test_sources_do_not_share_alerts() -> None:
    alerts = follow([window(ports(SCANNER, "10.0.0.1", 20) + ports("10.0.0.67", "10.0.0.1", 20))])
    assert sorted(alert.sources for alert in alerts) == [("10.0.0.66",), ("10.0.0.67",)]


def test_the_reason_has_the_numbers_that_decided() -> None:
    (alert,) = follow([window(ports(SCANNER, "10.0.0.1", 1000, answered=5))])
    assert alert.reason == (
        "10.0.0.66 tried tcp/1-1000 on 10.0.0.1 in 1.0 s, and 5 of 1000 pairs of target and service answered; "
        "995 unanswered services of one target within a window, from 10 on it is a scan."
    )


def test_the_same_window_gives_the_same_id() -> None:
    counts = window([*ports(SCANNER, "10.0.0.1", 20), Try("10.0.0.7", "10.0.0.1", "tcp/80", answered=True)])
    assert follow([counts])[0] == follow([counts])[0]


def test_one_posted_row_tells_its_targets_exactly_and_several_do_not() -> None:
    start, end = START, START + MINUTE
    one = posted_window("lab", start, end, [PostedRow("10.0.0.66", "tcp/23", 60, 60, 2)])
    several = posted_window("lab", start, end, [PostedRow("10.0.0.66", f"tcp/{p}", 60, 60, 2) for p in (22, 23)])
    assert [(a.evidence.targets.count, a.evidence.targets.exact) for a in follow([one])] == [(60, True)]
    assert [(a.evidence.targets.count, a.evidence.targets.exact) for a in follow([several])] == [(60, False)]
