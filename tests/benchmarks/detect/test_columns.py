from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detect.alarms import Alarms
from benchmarks.detect.columns import dark_nmf, entropy, itemsets, per_source
from benchmarks.detect.grouping import measure, simulate
from benchmarks.detect.report import wilson
from benchmarks.detect.trials import best
from service.patterns.groups import Rows
from tests.traffic import Try, ports, sweep, window


def test_zeek_counts_hosts_and_services() -> None:
    counts = window(
        [
            *sweep("192.0.2.1", "tcp/23", 25),
            *ports("192.0.2.2", "10.0.0.1", 15),
            Try("192.0.2.3", "10.0.0.1", "tcp/80"),
        ]
    )
    assert per_source.zeek(counts).tolist() == [1.0, 1.0, 1 / 15]


def test_the_random_walk_rises_with_failures_and_falls_with_answers() -> None:
    counts = window([*sweep("192.0.2.1", "tcp/23", 4), *sweep("192.0.2.2", "tcp/23", 4, answered=4)])
    up, down = per_source.random_walk(counts).tolist()
    assert up == pytest.approx(-down)
    assert up > 2.0


def test_entropy_is_that_of_services() -> None:
    even = window([Try(f"192.0.2.{i}", "10.0.0.1", f"tcp/{20 + i % 4}") for i in range(8)])
    assert entropy.entropy(even) == 2.0
    assert entropy.unusual(2.0, [1.0, 1.2] * 10) > 5
    assert entropy.unusual(2.0, [1.0]) == 0.0


def test_itemsets_are_what_three_sources_share() -> None:
    each = [[1, 2, 3], [1, 2, 4], [1, 2, 5], [6, 7]]
    rows = Rows(np.concatenate(each), np.ones(11, np.int64), np.array([0, 3, 6, 9, 11]))
    assert [found.services.tolist() for found in itemsets.propose(rows)] == [[1, 2]]


def test_dark_nmf_groups_sources_that_act_together() -> None:
    chance = np.random.default_rng(1)
    together = np.tile([100, 400, 800], 12)
    time = np.concatenate([together, chance.integers(0, 960, 300)])
    source = np.concatenate([np.repeat(np.arange(12), 3), 100 + np.arange(300) % 60])
    size, members = max(dark_nmf.groups(time, source, 0, 960), key=lambda group: group[0])
    assert size >= 12
    assert set(range(12)) <= set(members.tolist())


def test_a_campaign_is_found_if_enough_of_it_is_named() -> None:
    campaign = np.arange(20)
    assert not best([np.arange(4), np.arange(100, 200)], campaign).found
    assert best([np.arange(5)], campaign).found
    assert best([np.arange(5), campaign], campaign).f1 == 1.0
    assert not best([np.arange(1)], np.arange(3)).found


def test_the_multiple_of_a_budget_lets_so_many_through() -> None:
    alarms = Alarms()
    for at in range(10):
        alarms.note(f"key{at}", 5.0)
        alarms.note(f"key{at}", at + 1.0)
    assert alarms.within(3.0) == 3
    assert alarms.within(alarms.multiple(4.2)) == 4
    assert alarms.multiple(50) == 20.0


def test_wilsons_interval_holds_the_share() -> None:
    low, high = wilson(98, 100)
    assert 0.92 < low < 0.98 < high < 1.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_grouping_is_measured_by_members() -> None:
    _, truth = simulate(0.5, np.random.default_rng(2))
    perfect = [np.flatnonzero(truth[:, at]) for at in range(truth.shape[1])]
    assert measure(perfect, truth) == (1.0, 1.0)
    assert measure(perfect[:4], truth)[0] == 0.5
