from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from service.alerts.tails import HIGHEST_SCORE, CountFit, common_dispersion, fit_counts, fit_scores, surprise


def fit(mean: float, size: float) -> CountFit:
    return CountFit(np.array([mean]), np.array([size]))


@given(st.integers(1, 200), st.floats(0.01, 100), st.floats(0.05, 50))
def test_surprise_is_the_tail_of_a_negative_binomial(count: int, mean: float, size: float) -> None:
    tail = stats.nbinom.sf(count - 1, size, size / (mean + size))
    if tail > 1e-200:
        assert surprise(np.array([count]), fit(mean, size))[0] == pytest.approx(-math.log10(tail), abs=1e-6)


def test_nothing_is_no_surprise_and_the_greatest_is_bounded() -> None:
    assert surprise(np.array([0]), fit(1.0, 1.0))[0] == 0.0
    assert surprise(np.array([10**6]), fit(0.01, 50.0))[0] == HIGHEST_SCORE


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 40))
def test_more_of_the_same_past_makes_a_count_no_more_surprising_than_its_neighbour(past: list[int], k: int) -> None:
    x = np.array(past, np.float64)
    found = fit_counts(len(x), np.array([x.sum()]), np.array([(x**2).sum()]), 0.2)
    lower, higher = surprise(np.array([k]), found)[0], surprise(np.array([k + 1]), found)[0]
    assert 0.0 <= lower <= higher


def test_doubt_shrinks_with_the_past() -> None:
    short = fit_counts(2, np.array([20.0]), np.array([210.0]), 0.0)
    long = fit_counts(200, np.array([2000.0]), np.array([21000.0]), 0.0)
    assert surprise(np.array([25]), short)[0] < surprise(np.array([25]), long)[0]
    assert long.spread[0] < short.spread[0]


def test_a_bursty_service_needs_more() -> None:
    n = 100
    steady = fit_counts(n, np.array([n * 5.0]), np.array([n * 30.0]), 0.1)
    bursty = fit_counts(n, np.array([n * 5.0]), np.array([n * 250.0]), 0.1)
    assert surprise(np.array([20]), bursty)[0] < surprise(np.array([20]), steady)[0] / 2


def test_counts_drawn_from_the_model_reach_a_probability_as_often_as_it_says() -> None:
    chance = np.random.default_rng(3)
    reached = 0
    for _ in range(400):
        x = chance.negative_binomial(5, 5 / (5 + 8.0), 61)
        found = fit_counts(60, np.array([x[:60].sum()], float), np.array([(x[:60] ** 2).sum()], float), 0.2)
        reached += int(surprise(x[60:], found)[0] >= 1.0)
    assert 15 <= reached <= 60  # 10 % of a discrete variable is less than 40


def test_the_common_dispersion_is_that_of_frequent_counters() -> None:
    chance = np.random.default_rng(1)
    x = chance.negative_binomial(4, 4 / (4 + 10.0), (300, 50)).astype(float)
    assert common_dispersion(300, x.sum(axis=0), (x**2).sum(axis=0)) == pytest.approx(0.25, abs=0.06)
    assert common_dispersion(1, np.array([5.0]), np.array([25.0])) == 0.2


@given(st.lists(st.floats(1, 50), max_size=80), st.floats(0.0, 60), st.floats(0.01, 3), st.floats(10, 10**6))
@example([1.0, 1.0, 1.0], 5e-324, 1.0, 10.0)
def test_fewer_are_expected_of_higher_scores_and_the_budget_is_kept(
    scores: list[float], days: float, budget: float, tests: float
) -> None:
    tail = fit_scores(np.array(scores), days, budget, tests)
    rates = [tail.expected(score) for score in np.linspace(0, 100, 60)]
    assert all(a >= b - 1e-12 for a, b in pairwise(rates))
    score = tail.score_at(budget)
    assert score == math.inf or tail.expected(score) <= budget


def test_no_budget_lets_nothing_through() -> None:
    assert fit_scores(np.arange(1.0, 20.0), 30.0, 1.0, 100.0).score_at(0.0) == math.inf


@pytest.mark.parametrize("budget", [1.0, 1 / 7])
def test_pareto_scores_are_let_through_as_often_as_the_budget_says(budget: float) -> None:
    chance = np.random.default_rng(5)
    rates = []
    for _ in range(40):
        past, later = (1 + chance.pareto(3.0, 60 * 8) for _ in range(2))
        rates.append((later >= fit_scores(past, 60.0, budget, 1000.0).score_at(budget)).sum() / 60)
    assert 0.7 * budget < np.mean(rates) < 1.4 * budget


def test_the_first_minute_is_safe() -> None:
    assert fit_scores(np.empty(0), 0.0, 0.5, 10_000.0).score_at(0.5) == math.inf
    assert fit_scores(np.empty(0), 0.25, 0.5, 10_000.0).score_at(0.5) > 15.0
    assert fit_scores(np.empty(0), 2.0, 0.5, 10_000.0).score_at(0.5) > 6.0
    assert fit_scores(np.linspace(1, 4, 300), 60.0, 0.5, 10_000.0).score_at(0.5) < 5.0
