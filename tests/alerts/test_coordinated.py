from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.alerts.coordinated import GroupVerdict, remember
from service.alerts.history import History
from service.alerts.incidents import Channel
from service.capture.address import format_addresses
from service.capture.services import parse_service
from service.windows.counts import WindowCounts
from tests.alerts.groups_traffic import DAY, HOUR, START, at_day, background, campaign, judged, learned
from tests.traffic import Try, sweep, window

DAYS = 20
LIST = [f"tcp/{port}" for port in (2001, 2100, 3100, 4123, 5200, 6001)]


@pytest.fixture(scope="module")
def history() -> History:
    return learned(DAYS)


def members(counts: WindowCounts, verdict: GroupVerdict) -> set[str]:
    return set(format_addresses(counts.sources[verdict.sources]))


def day_with(extra: list[Try], seed: int = 99) -> WindowCounts:
    return at_day(DAYS, background(np.random.default_rng(seed)) + extra)


def test_an_ordinary_day_raises_nothing(history: History) -> None:
    for seed in range(5):
        assert judged(day_with([], seed), history).verdicts == []


def test_many_sources_of_a_port_nobody_tried_are_news(history: History) -> None:
    counts = day_with(campaign(["tcp/61234"], 10, 1, np.random.default_rng(2)))
    (verdict,) = judged(counts, history).verdicts
    assert verdict.evidence is Channel.NOVELTY
    assert verdict.services == (parse_service("tcp/61234"),)
    assert len(members(counts, verdict)) == 10
    assert verdict.score >= verdict.threshold
    assert verdict.expected < 0.01
    assert verdict.mean < 0.1
    assert verdict.days == DAYS
    assert (verdict.weights > 0.9).all()


def test_a_list_of_ports_is_one_verdict_that_names_its_members(history: History) -> None:
    counts = day_with(campaign(LIST, 12, 3, np.random.default_rng(3)))
    (verdict,) = judged(counts, history).verdicts
    assert members(counts, verdict) == {f"198.51.100.{i + 1}" for i in range(12)}
    assert set(verdict.services) == {parse_service(name) for name in LIST}


def test_who_tries_one_usual_service_of_a_list_is_no_member(history: History) -> None:
    usual = ["tcp/23", "tcp/445", "tcp/22", "tcp/3389", "tcp/80", "tcp/8080"]
    counts = day_with(campaign(usual, 40, 5, np.random.default_rng(4)))
    (verdict,) = judged(counts, history).verdicts
    named, all_members = members(counts, verdict), {f"198.51.100.{i + 1}" for i in range(40)}
    assert len(named & all_members) >= 38
    assert len(named - all_members) <= 2


def test_one_attempt_of_each_of_many_sources_at_ports_nobody_tried_is_strange(history: History) -> None:
    ports = [f"tcp/{port}" for port in range(50_000, 50_012)]
    counts = day_with(campaign(ports, 12, 1, np.random.default_rng(5)))
    (verdict,) = judged(counts, history).verdicts
    assert verdict.evidence is Channel.BREADTH
    assert members(counts, verdict) == {f"198.51.100.{i + 1}" for i in range(12)}
    assert set(verdict.services) <= {parse_service(name) for name in ports}


def test_usual_services_in_an_unusual_mix_are_a_pattern(history: History) -> None:
    mix = ["tcp/443", "tcp/1433", "tcp/3389", "tcp/8080"]
    counts = day_with(campaign(mix, 5, 4, np.random.default_rng(4)))
    found = [verdict for verdict in judged(counts, history).verdicts if len(members(counts, verdict)) >= 4]
    assert any(members(counts, verdict) >= {f"198.51.100.{i + 1}" for i in range(5)} for verdict in found)


def test_sources_that_are_loud_belong_to_no_group(history: History) -> None:
    counts = day_with(campaign(["tcp/61234"], 10, 1, np.random.default_rng(2)))
    names = format_addresses(counts.sources)
    loud = [at for at, name in enumerate(names) if name.startswith("198.51.100.")]
    assert judged(counts, history, loud).verdicts == []


def test_nothing_is_raised_in_the_first_minute() -> None:
    counts = at_day(0, background(np.random.default_rng(1)) + sweep("192.0.2.250", "tcp/8443", 10))
    assert judged(counts, History()).verdicts == []


def test_judging_changes_nothing_and_repeats(history: History) -> None:
    counts = day_with(campaign(LIST, 12, 3, np.random.default_rng(3)))
    first, second = judged(counts, history), judged(counts, history)
    assert [verdict.key for verdict in first.verdicts] == [verdict.key for verdict in second.verdicts]
    assert first.verdicts[0].score == second.verdicts[0].score


def test_sliding_windows_repeat_the_key() -> None:
    history = learned(DAYS)
    chance = np.random.default_rng(6)
    tries = background(chance) + campaign(["tcp/61234"], 10, 1, chance)
    keys = []
    for hour in range(4):
        counts = window(tries, start=START + DAYS * DAY + hour * HOUR, length=DAY)
        found = judged(counts, history)
        keys += [verdict.key for verdict in found.verdicts]
        remember(history, found)
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_what_recurs_is_no_news() -> None:
    history = learned(DAYS)
    for number in range(DAYS, DAYS + 12):
        chance = np.random.default_rng(number)
        tries = background(chance) + campaign(["tcp/61234"], 10, 1, chance)
        found = judged(at_day(number, tries), history)
        remember(history, found)
    assert found.verdicts == []


@settings(max_examples=15, deadline=None)
@given(st.integers(3, 40), st.integers(1, 6), st.integers(0, 1000))
def test_verdicts_hold_together(history: History, sources: int, each: int, seed: int) -> None:
    counts = day_with(campaign(LIST, sources, each, np.random.default_rng(seed)))
    found = judged(counts, history).verdicts
    assert len({verdict.key for verdict in found}) == len(found)
    for verdict in found:
        assert verdict.score >= verdict.threshold
        assert (np.diff(verdict.sources) > 0).all()
        assert len(verdict.sources) == len(verdict.weights) >= 3
        assert ((verdict.weights > 0) & (verdict.weights <= 1)).all()
        assert verdict.services
