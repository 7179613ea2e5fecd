from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.alerts.alert import Alert, Kind
from service.alerts.allow import AllowList, read_allow_list
from service.alerts.habits import Habits
from service.alerts.sources import judge
from service.alerts.suppress import begin, follow
from service.alerts.threshold import Thresholds
from service.windows.counts import WindowCounts
from service.windows.posted import PostedRow, posted_window
from tests.traffic import SECOND, START, Try, ports, sweep, window

MINUTE = 60 * SECOND
SCANNER = "10.0.0.66"


def story(windows: list[WindowCounts]) -> list[Alert]:
    """Return the alerts after windows that ended one after the other."""
    alerts: dict[str, Alert] = {}
    for counts in windows:
        known = [alert for alert in alerts.values() if alert.open_until >= counts.start]
        for alert in follow(counts, judge(counts, Thresholds()), known, {}, AllowList(), Habits()):
            alerts[alert.id] = alert
    return list(alerts.values())


def test_a_scan_over_three_windows_is_one_alert_with_exact_counts() -> None:
    (alert,) = story(
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
    (alert,) = story(
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
    first, second = story(
        [
            window(ports(SCANNER, "10.0.0.1", 20), start=START),
            window(ports(SCANNER, "10.0.0.2", 20), start=START + 12 * MINUTE),
        ]
    )
    assert first.id != second.id
    assert first.targets_sample != second.targets_sample


def test_a_vertical_scan_that_grows_wide_becomes_a_block() -> None:
    wide = [t for i in range(1, 25) for t in ports(SCANNER, f"10.0.1.{i}", 30)]
    (alert,) = story([window(ports(SCANNER, "10.0.0.1", 30), start=START), window(wide, start=START + MINUTE)])
    assert alert.kind is Kind.BLOCK
    assert alert.technique == "T1595.001"
    assert alert.evidence.targets.count == 25


def test_sources_do_not_share_alerts() -> None:
    alerts = story([window(ports(SCANNER, "10.0.0.1", 20) + ports("10.0.0.67", "10.0.0.1", 20))])
    assert sorted(alert.sources for alert in alerts) == [("10.0.0.66",), ("10.0.0.67",)]


def test_the_reason_has_the_numbers_that_decided() -> None:
    (alert,) = story([window(ports(SCANNER, "10.0.0.1", 1000, answered=5))])
    assert alert.reason == (
        "10.0.0.66 tried tcp/1-1000 on 10.0.0.1 in 1.0 s, and 5 of 1000 pairs of target and service answered; "
        "995 unanswered services of one target within 1 min, from 10 on it is a scan."
    )


def test_the_same_window_gives_the_same_id() -> None:
    counts = window([*ports(SCANNER, "10.0.0.1", 20), Try("10.0.0.7", "10.0.0.1", "tcp/80", answered=True)])
    assert story([counts])[0] == story([counts])[0]


def test_one_posted_row_tells_its_targets_exactly_and_several_do_not() -> None:
    start, end = START, START + MINUTE
    one = posted_window("lab", start, end, [PostedRow("10.0.0.66", "tcp/23", 60, 60, 2)])
    several = posted_window("lab", start, end, [PostedRow("10.0.0.66", f"tcp/{p}", 60, 60, 2) for p in (22, 23)])
    assert [(a.evidence.targets.count, a.evidence.targets.exact) for a in story([one])] == [(60, True)]
    assert [(a.evidence.targets.count, a.evidence.targets.exact) for a in story([several])] == [(60, False)]


def slow_sweep(first: int, count: int, minute: int, length: int) -> WindowCounts:
    """A window that ends at a minute and begins `length` minutes before, with so many targets of one service."""
    start = START + (minute - length) * MINUTE
    return window(sweep(SCANNER, "tcp/23", count, first=first), start=start, length=length * MINUTE)


def test_a_longer_window_names_what_shorter_ones_missed() -> None:
    (alert,) = story([slow_sweep(i, 2, i // 2 + 1, 1) for i in range(1, 11, 2)] + [slow_sweep(1, 10, 10, 10)])
    assert (alert.scale, alert.score, alert.named_after) == (10 * MINUTE, 10, 10)
    assert alert.named_at == START + 10 * MINUTE
    assert "10 unanswered targets of one service within 10 min" in alert.reason


def test_a_longer_window_does_not_count_again_what_shorter_ones_named() -> None:
    (alert,) = story([slow_sweep(1, 40, 1, 1), slow_sweep(41, 3, 2, 1), slow_sweep(1, 43, 10, 10)])
    assert (alert.evidence.pairs, alert.evidence.windows, alert.scale) == (43, 2, MINUTE)


def test_a_longer_window_tells_what_came_before_the_scan_was_named() -> None:
    before = [slow_sweep(10 * i + 1, 9, i + 1, 1) for i in range(5)]
    (alert,) = story([*before, slow_sweep(51, 12, 6, 1), slow_sweep(1, 62, 10, 10)])
    assert (alert.evidence.pairs, alert.evidence.targets.count, alert.named_after) == (62, 62, 12)


def test_windows_that_slide_over_a_scan_that_is_over_do_not_name_it_again() -> None:
    hour = 60
    slides = [slow_sweep(1, 40, end, 24 * hour) for end in range(hour, 24 * hour, hour)]
    (alert,) = story([slow_sweep(1, 40, 1, 1), *slides])
    assert alert.evidence.pairs == 40


def test_a_slow_scan_stays_open_as_long_as_the_windows_that_show_it() -> None:
    day = 24 * 60
    hourly = window(sweep(SCANNER, "tcp/23", 20), length=day * MINUTE, pause=60 * MINUTE)
    (alert,) = story([hourly, slow_sweep(21, 1, day + 700, 1)])
    assert alert.evidence.pairs == 21
    assert len(story([slow_sweep(1, 20, 10, 10), slow_sweep(21, 20, 700, 1)])) == 2


def test_a_second_sweep_for_other_services_is_another_scan() -> None:
    second = window(sweep(SCANNER, "tcp/445", 30, first=500), start=START + 2 * MINUTE)
    alerts = story([slow_sweep(1, 30, 1, 1), slow_sweep(31, 30, 2, 1), second])
    assert [(alert.services, alert.evidence.pairs) for alert in alerts] == [(("tcp/23",), 60), (("tcp/445",), 30)]


def test_an_update_is_due_when_a_scan_has_doubled() -> None:
    sizes = [10, 5, 4, 2, 30, 1]
    windows = [slow_sweep(100 * i + 1, size, i + 1, 1) for i, size in enumerate(sizes)]
    counts = [story(windows[: i + 1])[0].updates for i in range(len(windows))]
    assert counts == [0, 0, 0, 1, 2, 2]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_however_a_sweep_is_spread_all_lengths_together_never_count_twice(
    sizes: list[int],
) -> None:
    """One target after another, so many in each minute; windows of 1, 10 and 30 minutes."""
    at = [0]
    windows = []
    for minute, size in enumerate(sizes, 1):
        at.append(at[-1] + size)
        for length in (1, 10, 30):
            begun = max(0, minute - length)
            if minute % length == 0 and at[minute] > at[begun]:
                windows.append(slow_sweep(at[begun] + 1, at[minute] - at[begun], minute, length))
    alerts = story(windows)
    assert sum(alert.evidence.pairs for alert in alerts) <= at[-1]
    if max(sizes) >= 10:
        assert alerts
    within_a_gap = all(size > 0 for size in sizes)
    assert not within_a_gap or len(alerts) <= 1


def test_a_scan_that_a_look_has_named_gets_the_evidence_of_its_window_once() -> None:
    early = replace(slow_sweep(1, 12, 1, 1), seen_until=START + 9 * SECOND)
    whole = slow_sweep(1, 40, 1, 1)
    (named,) = begin(early, judge(early, Thresholds()), [], AllowList(), Habits())
    assert (named.named_at, named.named_after, named.evidence.pairs) == (START + 9 * SECOND, 12, 12)
    assert begin(early, judge(early, Thresholds()), [named], AllowList(), Habits()) == []
    (alert,) = follow(whole, judge(whole, Thresholds()), [named], {0: "p1"}, AllowList(), Habits())
    assert (alert.id, alert.named_at, alert.named_after, alert.pattern) == (named.id, START + 9 * SECOND, 12, "p1")
    assert (alert.evidence.pairs, alert.evidence.windows, alert.updates) == (40, 1, 1)


def test_a_scan_that_a_look_has_named_stays_named_if_its_window_would_not() -> None:
    early = replace(slow_sweep(1, 12, 1, 1), seen_until=START + 9 * SECOND)
    (named,) = begin(early, judge(early, Thresholds()), [], AllowList(), Habits())
    late_answers = window(sweep(SCANNER, "tcp/23", 12, answered=9))
    assert judge(late_answers, Thresholds()) == []
    (alert,) = follow(late_answers, [], [named], {}, AllowList(), Habits())
    assert (alert.id, alert.evidence.pairs, alert.evidence.answered) == (named.id, 12, 9)


def test_a_look_at_a_longer_window_names_it_before_the_shorter_ones_are_over() -> None:
    early = replace(slow_sweep(1, 11, 10, 10), seen_until=START + 130 * SECOND)
    (named,) = begin(early, judge(early, Thresholds()), [], AllowList(), Habits())
    minutes = [slow_sweep(12 + 2 * i, 2, i + 3, 1) for i in range(8)]
    alerts = [named]
    for counts in minutes:
        alerts = follow(counts, judge(counts, Thresholds()), alerts, {}, AllowList(), Habits()) or alerts
    assert alerts[0].evidence.pairs == 11
    whole = slow_sweep(1, 27, 10, 10)
    (alert,) = follow(whole, judge(whole, Thresholds()), alerts, {}, AllowList(), Habits())
    assert (alert.id, alert.evidence.pairs) == (named.id, 27)


def test_what_a_source_may_do_is_kept_and_marked_until_it_does_more() -> None:
    allowed = read_allow_list([f"{SCANNER} tcp/23", f"{SCANNER} tcp/445"], "allow")

    def after(alerts: list[Alert], counts: WindowCounts) -> list[Alert]:
        return follow(counts, judge(counts, Thresholds()), alerts, {}, allowed, Habits())

    (first,) = after([], slow_sweep(1, 30, 1, 1))
    assert (first.allowed_by, first.evidence.pairs) == (f"{SCANNER} tcp/23", 30)
    both = window(sweep(SCANNER, "tcp/23", 9) + sweep(SCANNER, "tcp/445", 9), start=START + MINUTE)
    (second,) = after([first], both)
    assert (second.allowed_by, second.evidence.pairs) == (f"{SCANNER} tcp/23, {SCANNER} tcp/445", 48)
    (third,) = after([second], window([Try(SCANNER, "10.0.0.1", "tcp/22")], start=START + 2 * MINUTE))
    assert (third.allowed_by, third.evidence.pairs) == (None, 49)
