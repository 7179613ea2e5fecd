from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detect.campaigns import BURST, KINDS, SOURCE_TARGETS, Campaign, Ground, draw
from benchmarks.detect.injection import inject
from service.alerts.sources import judge
from service.alerts.threshold import Thresholds
from tests.traffic import SECOND, Try, window

HOUR = 3600 * SECOND
START = 480_000 * HOUR
GROUND = Ground(
    start=START,
    span=HOUR,
    moments=START + np.array([5, 20, 40]) * 60 * SECOND,
    targets=np.arange(1, 10, dtype=np.uint32),
    usual=np.arange(100, 160),
    seen=np.arange(100, 2000),
)
BACKGROUND = window(
    [Try("192.0.2.1", "10.0.0.1", "tcp/23"), Try("192.0.2.2", "10.0.0.1", "tcp/445")], start=START, length=HOUR
)


@pytest.mark.parametrize("bursts", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_attempts_are_as_many_as_asked_for_and_inside_of_the_span(kind: str, bursts: bool) -> None:
    found = draw(Campaign(kind, 7, 10, bursts), GROUND, np.random.default_rng(1))
    assert np.bincount(found.source).tolist() == [10] * 7
    assert all(len(np.unique(found.target[found.source == at])) <= SOURCE_TARGETS for at in range(7))
    assert ((found.time >= START) & (found.time < START + HOUR)).all()
    if bursts:
        assert all(any(m <= t < m + BURST for m in GROUND.moments.tolist()) for t in found.time.tolist())


@pytest.mark.parametrize(("kind", "services"), [("445", 1), ("rare", 1), ("pair", 2), ("rare list", 12)])
def test_kinds_have_their_services(kind: str, services: int) -> None:
    found = draw(Campaign(kind, 50, 10, bursts=False), GROUND, np.random.default_rng(2))
    assert len(np.unique(found.service)) == services
    if kind.startswith("rare"):
        assert not np.isin(found.service, GROUND.seen).any()


def test_a_blurred_mixture_strays_as_often_as_it_says() -> None:
    campaign = Campaign("mixture", 200, 20, bursts=False, services=3, blur=0.5)
    service = draw(campaign, GROUND, np.random.default_rng(3)).service
    top = np.sort(np.bincount(service))[::-1][:3].sum()
    assert 0.5 < top / len(service) < 0.6


def test_equal_seeds_draw_equal_campaigns() -> None:
    first, second = (draw(Campaign("pair", 5, 3, bursts=True), GROUND, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.time, second.time)
    np.testing.assert_array_equal(first.service, second.service)


def test_what_is_injected_is_in_the_window_and_nobody_there_is_loud() -> None:
    attempts = draw(Campaign("rare list", 5, 10, bursts=False), GROUND, np.random.default_rng(5))
    injected = inject(BACKGROUND, np.ones(2, np.int64), attempts)
    rows = injected.window.rows
    assert injected.sources.tolist() == [2, 3, 4, 5, 6]
    assert int(rows.attempts[rows.source >= 2].sum()) == 50
    assert len(injected.hours) == len(rows)
    assert int(injected.hours.max()) == 1
    assert judge(injected.alone, Thresholds()) == []


def test_attempts_outside_of_the_window_are_left_out() -> None:
    attempts = draw(Campaign("23", 5, 3, bursts=True), GROUND, np.random.default_rng(6))
    early = window([Try("192.0.2.1", "10.0.0.1", "tcp/23")], start=START - HOUR, length=HOUR)
    injected = inject(early, np.ones(1, np.int64), attempts)
    assert len(injected.sources) == 0
    assert len(injected.window.rows) == 1
